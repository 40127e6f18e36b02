//! What a command in the sandbox can and cannot do, tried by real programs.

mod cell;
mod conditions;

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use mpkg::build::sandbox::{Limit, SandboxLevel, Status};
use mpkg::explain::Explain as _;

use cell::{Cell, ROLE, anyone_says};

/// The levels at which everything here holds.
const HELD: &[SandboxLevel] = &[SandboxLevel::Full, SandboxLevel::Landlock];

#[test]
fn writes_its_output_and_reads_its_source() {
    for level in SandboxLevel::ALL {
        let cell = Cell::new(*level);
        let outcome = cell.python(
            "open(out + '/weights', 'w').write(open('data.txt').read())\n\
             open(os.environ['TMPDIR'] + '/a', 'w').write('b')\n\
             open(os.environ['HOME'] + '/a', 'w').write('b')\n\
             print(os.stat(out + '/weights').st_mode & 0o777 == 0o644, sys.stdin.read() == '')",
        );
        assert_eq!(outcome.printed, "True True\n", "{level:?}");
        assert_eq!(outcome.ended.status, Status::Code(0), "{level:?}");
        let written = std::fs::read_to_string(cell.world.path("out/weights")).unwrap();
        assert_eq!(written, "source", "{level:?}");
    }
}

#[test]
fn finds_a_clean_place_whatever_is_outside() {
    let cell = Cell::new(SandboxLevel::Full);
    let outcome = cell.python(
        "import socket\nprint(sorted(os.listdir('/')))\nprint(sorted(os.listdir('/mpkg')))\n\
         print(os.getcwd(), os.environ['HOME'], os.environ['TMPDIR'], socket.gethostname())\n\
         print(os.getuid(), os.path.expanduser('~'), sorted(os.listdir('/tmp')))\n\
         print('SECRET' in os.environ, len(os.sched_getaffinity(0)))",
    );
    let lines: Vec<&str> = outcome.printed.lines().collect();
    for folder in ["home", "work", "var", "root"] {
        let seen_for_python = Cell::python_lies_below(folder);
        assert!(seen_for_python || !lines[0].contains(folder), "{}", lines[0]);
    }
    assert_eq!(lines[1], "['env', 'home', 'out', 'source']");
    assert_eq!(lines[2], "/mpkg/source /mpkg/home /tmp mpkg");
    assert_eq!(lines[3], "1000 /mpkg/home []");
    assert_eq!(lines[4], "False 1");
    let layers = ["user-namespace", "namespaces", "landlock-", "seccomp"];
    for (layer, found) in layers.iter().zip(&outcome.ended.layers) {
        assert!(found.starts_with(layer), "{found}");
    }
}

#[test]
fn cannot_reach_the_network_by_tcp() {
    for level in [SandboxLevel::Full, SandboxLevel::Landlock, SandboxLevel::Seccomp] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        Cell::new(level).is_refused(
            2,
            &format!(
                "tried('v4', lambda: socket.create_connection(('127.0.0.1', {port}), 5))\n\
                 tried('v6', lambda: socket.create_connection(('::1', {port}), 5))"
            ),
        );
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn cannot_reach_the_network_by_udp_or_other_sockets() {
    for level in [SandboxLevel::Full, SandboxLevel::Landlock, SandboxLevel::Seccomp] {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_nonblocking(true).unwrap();
        let port = receiver.local_addr().unwrap().port();
        Cell::new(level).is_refused(
            6,
            &format!(
                "def send(family, address):\n    \
                     socket.socket(family, socket.SOCK_DGRAM).sendto(b'x', address)\n\
                 tried('v4', lambda: send(socket.AF_INET, ('127.0.0.1', {port})))\n\
                 tried('v6', lambda: send(socket.AF_INET6, ('::1', {port})))\n\
                 tried('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))\n\
                 tried('netlink', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))\n\
                 tried('vsock', lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))\n\
                 tried('alg', lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))"
            ),
        );
        let received = receiver.recv(&mut [0]).unwrap_err();
        assert_eq!(received.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn cannot_talk_to_local_sockets_outside() {
    for level in HELD {
        let cell = Cell::new(*level);
        let name = format!("mpkg-test-{}-{level:?}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let hidden = UnixListener::bind_addr(&address).unwrap();
        let path = cell.world.path("socket");
        let named = UnixListener::bind(&path).unwrap();
        hidden.set_nonblocking(true).unwrap();
        named.set_nonblocking(true).unwrap();
        cell.is_refused(
            2,
            &format!(
                "def connect(address):\n    socket.socket(socket.AF_UNIX).connect(address)\n\
                 tried('abstract', lambda: connect('\\0{name}'))\n\
                 tried('named', lambda: connect('{}'))",
                path.display()
            ),
        );
        assert_eq!(hidden.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(named.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn its_own_processes_can_talk_to_one_another() {
    let outcome = Cell::new(SandboxLevel::Full).python(
        "import multiprocessing as mp\nif __name__ == '__main__':\n    \
         with mp.Pool(2) as pool:\n        print(pool.map(abs, [-1, -2, -3]))",
    );
    assert_eq!(outcome.printed, "[1, 2, 3]\n");
}

#[test]
fn cannot_read_the_home_folder() {
    for level in HELD {
        let cell = Cell::new(*level);
        let secret = cell.world.write("user/.ssh/id", "the secret");
        let folder = cell.world.path("user");
        let outcome = cell.is_refused(
            4,
            &format!(
                "tried('file', lambda: open('{}').read())\n\
                 tried('folder', lambda: os.listdir('{}'))\n\
                 os.symlink('{}', out + '/link')\n\
                 tried('link', lambda: open(out + '/link').read())\n\
                 tried('shadow', lambda: open('/etc/shadow').read())",
                secret.display(),
                folder.display(),
                secret.display()
            ),
        );
        assert!(!outcome.printed.contains("the secret"));
    }
}

#[test]
fn cannot_change_its_source() {
    for level in HELD {
        let cell = Cell::new(*level);
        cell.is_refused(
            7,
            "tried('write', lambda: open('data.txt', 'w').write('x'))\n\
             tried('append', lambda: open('data.txt', 'a').write('x'))\n\
             tried('new', lambda: open('new.txt', 'w'))\n\
             tried('remove', lambda: os.remove('data.txt'))\n\
             tried('rename', lambda: os.rename('data.txt', out + '/data.txt'))\n\
             tried('link', lambda: os.link('data.txt', out + '/data.txt'))\n\
             tried('truncate', lambda: os.truncate('data.txt', 0))",
        );
        assert_eq!(std::fs::read_to_string(cell.world.path("source/data.txt")).unwrap(), "source");
        assert!(!cell.world.path("source/new.txt").exists());
    }
}

#[test]
fn cannot_write_outside_its_output() {
    for level in HELD {
        let cell = Cell::new(*level);
        std::fs::create_dir(cell.world.path("elsewhere")).unwrap();
        cell.is_refused(
            7,
            &format!(
                "tried('usr', lambda: open('/usr/mpkg-test', 'w'))\n\
                 tried('etc', lambda: open('/etc/passwd', 'a').write('x'))\n\
                 tried('root', lambda: open('/mpkg-test', 'w'))\n\
                 tried('kernel', lambda: open('/proc/sys/kernel/hostname', 'w').write('x'))\n\
                 tried('elsewhere', lambda: open('{0}/x', 'w'))\n\
                 os.symlink('{0}', out + '/way')\n\
                 tried('way', lambda: open(out + '/way/x', 'w'))\n\
                 tried('up', lambda: open(out + '/../elsewhere/x', 'w'))",
                cell.world.path("elsewhere").display()
            ),
        );
        assert_eq!(std::fs::read_dir(cell.world.path("elsewhere")).unwrap().count(), 0);
        assert!(!std::path::Path::new("/usr/mpkg-test").exists());
    }
}

#[test]
fn cannot_make_files_that_run_with_other_rights() {
    for level in HELD {
        let cell = Cell::new(*level);
        cell.is_refused(
            5,
            "open(out + '/a', 'w').close()\n\
             tried('chmod', lambda: os.chmod(out + '/a', 0o4755))\n\
             tried('group', lambda: os.chmod(out + '/a', 0o2755))\n\
             tried('open', lambda: os.open(out + '/b', os.O_CREAT | os.O_WRONLY, 0o4755))\n\
             fd = os.open(out + '/a', os.O_RDONLY)\n\
             tried('fchmod', lambda: os.fchmod(fd, 0o6755))\n\
             tried('device', lambda: os.mknod(out + '/c', 0o020666, os.makedev(1, 1)))\n\
             os.chmod(out + '/a', 0o755)",
        );
        assert!(!cell.world.path("out/b").exists());
    }
}

#[test]
fn cannot_look_into_or_signal_processes_outside() {
    for level in HELD {
        let outer = std::process::id();
        Cell::new(*level).is_refused(
            4,
            &format!(
                "tried('environment', lambda: open('/proc/{outer}/environ').read())\n\
                 tried('memory', lambda: open('/proc/{outer}/mem', 'rb').read(1))\n\
                 tried('files', lambda: os.listdir('/proc/{outer}/fd'))\n\
                 tried('signal', lambda: os.kill({outer}, 0))"
            ),
        );
    }
}

#[test]
fn cannot_look_into_the_process_that_watches_it() {
    let outcome = Cell::new(SandboxLevel::Full).is_refused(
        2,
        "tried('environment', lambda: open('/proc/1/environ').read())\n\
         tried('files', lambda: os.readlink('/proc/1/fd/0'))\n\
         try: os.kill(1, 9)\nexcept OSError: pass\nprint('still here', [p for p in os.listdir('/proc') if p.isdigit()])",
    );
    assert!(outcome.printed.contains("still here ['1', '2']"), "{}", outcome.printed);
    assert_eq!(outcome.ended.status, Status::Code(0));
}

#[test]
fn cannot_make_dangerous_system_calls() {
    // Numbers of x86-64 and, from 424 on, of every machine; the others are tried by name.
    let calls = [
        ("ptrace", "101, 0, 0, 0, 0"),
        ("process_vm_readv", "310, 1, 0, 0, 0, 0, 0"),
        ("unshare", "272, 0x10000000"),
        ("clone with a namespace", "56, 0x10000011, 0, 0, 0, 0"),
        ("mount", "165, b'x', b'/tmp', b'tmpfs', 0, 0"),
        ("chroot", "161, b'/tmp'"),
        ("bpf", "321, 0, 0, 0"),
        ("keyctl", "250, 0, -3, 1"),
        ("add_key", "248, b'user', b'x', b'y', 1, -3"),
        ("perf_event_open", "298, 0, 0, -1, -1, 0"),
        ("userfaultfd", "323, 0"),
        ("open_by_handle_at", "304, 0, 0, 0"),
        ("shmget", "29, 0, 4096, 0o1600"),
        ("mq_open", "240, b'x', 0o102, 0o600, 0"),
        ("io_uring_setup", "425, 1, 0"),
        ("open_tree", "428, -100, b'/', 1"),
        ("clone3", "435, 0, 0"),
        ("a call of tomorrow", "471, 0"),
        ("a call of another interface", "0x40000000 + 41, 2, 1, 0"),
    ];
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    for level in [SandboxLevel::Full, SandboxLevel::Landlock, SandboxLevel::Seccomp] {
        let mut script = "libc = ctypes.CDLL(None, use_errno=True)\n\
             def call(*words):\n    \
                 if libc.syscall(*words) == -1:\n        \
                     number = ctypes.get_errno()\n        \
                     assert number in (errno.EPERM, errno.ENOSYS), number\n        \
                     raise OSError(number, '')\n"
            .to_owned();
        for (name, arguments) in calls {
            writeln!(script, "tried({name:?}, lambda: call({arguments}))").unwrap();
        }
        let outcome = Cell::new(level).is_refused(calls.len(), &script);
        assert!(!outcome.printed.contains("AssertionError"), "{}", outcome.printed);
    }
}

#[test]
fn has_no_capabilities_and_gets_none() {
    for level in HELD {
        let outcome = Cell::new(*level).python(
            "for line in open('/proc/self/status'):\n    \
             if line.startswith(('Cap', 'NoNewPrivs', 'Seccomp:')): print(line.split()[1])",
        );
        let zero = "0000000000000000\n".repeat(5);
        assert_eq!(outcome.printed, format!("{zero}1\n2\n"), "{level:?}");
    }
}

/// Forks without end; bounded in number and time all the same, should nothing else bound it.
const BOMB: &str = "
import mmap
count = mmap.mmap(-1, 4)
end = time.monotonic() + 20
while time.monotonic() < end:
    number = int.from_bytes(count[:], 'little') + 1
    count[:] = number.to_bytes(4, 'little')
    try:
        os.fork() if number < 1000 else time.sleep(1)
    except OSError:
        time.sleep(0.05)
";

#[test]
fn a_fork_bomb_is_ended() {
    for level in SandboxLevel::ALL {
        let cell = Cell::new(*level);
        let begun = Instant::now();
        let outcome = cell.python(BOMB);
        let hit = outcome.ended.limit_hit.expect("a limit");
        assert_eq!((hit.limit, hit.allowed), (Limit::Processes, 64), "{level:?}");
        assert!(hit.found > 64 && begun.elapsed() < Duration::from_secs(30), "{level:?} {hit}");
        assert!(!anyone_says(&cell.token()), "{level:?}");
    }
}

#[test]
fn filling_the_disk_is_ended() {
    let ways = [
        "file = open(out + '/big', 'wb')\nwhile True: file.write(block)",
        "number = 0\nwhile True:\n    open(f'{out}/{number}', 'wb').write(block)\n    number += 1",
        "import tempfile\nfile = tempfile.TemporaryFile(buffering=0)\nwhile True:\n    \
         try: file.write(block)\n    except OSError: time.sleep(0.01)",
    ];
    for level in HELD {
        for way in ways {
            let mut cell = Cell::new(*level);
            cell.limits.disk = 24 << 20;
            let outcome = cell.python(&format!("block = bytes(1 << 20)\n{way}"));
            let hit = outcome.ended.limit_hit.unwrap_or_else(|| panic!("{way}"));
            assert_eq!((hit.limit, hit.allowed), (Limit::Disk, 24 << 20), "{level:?} {way}");
            assert!(hit.to_string().ends_with("24.0 MiB is its limit"), "{hit}");
        }
    }
}

#[test]
fn filling_the_disk_with_empty_files_is_ended() {
    let mut cell = Cell::new(SandboxLevel::Full);
    cell.limits.disk = 1 << 20;
    let outcome = cell
        .python("for number in range(3000): open(f'{out}/{number}', 'w').close()\ntime.sleep(60)");
    assert_eq!(outcome.ended.limit_hit.expect("a limit").limit, Limit::Disk);
}

#[test]
fn eating_memory_is_ended() {
    let ways = [
        "eaten = []\nwhile True: eaten.append(bytearray(block))",
        "import mmap\neaten = []\nwhile True:\n    eaten.append(mmap.mmap(-1, len(block)))\n    \
         eaten[-1].write(block)",
        "for _ in range(8):\n    if os.fork() == 0:\n        eaten = bytearray(block * 32)\n        \
         time.sleep(60)\ntime.sleep(60)",
        "file = os.memfd_create('x')\nwhile True:\n    try: os.write(file, block)\n    \
         except OSError: time.sleep(0.01)",
    ];
    for level in HELD {
        for way in ways {
            let mut cell = Cell::new(*level);
            cell.limits.memory = 192 << 20;
            let outcome = cell.python(&format!("block = b'x' * (1 << 20)\n{way}"));
            let hit = outcome.ended.limit_hit.unwrap_or_else(|| panic!("{way}"));
            assert_eq!((hit.limit, hit.allowed), (Limit::Memory, 192 << 20), "{level:?} {way}");
            assert!(outcome.ended.peak_memory > 192 << 20);
        }
    }
}

#[test]
fn memory_that_processes_share_counts_once() {
    let mut cell = Cell::new(SandboxLevel::Full);
    cell.limits.memory = 192 << 20;
    let outcome = cell.python(
        "eaten = b'x' * (100 << 20)\nfor _ in range(4):\n    \
         if os.fork() == 0:\n        time.sleep(0.5)\n        os._exit(0)\n\
         for _ in range(4): os.wait()\nprint('done')",
    );
    assert_eq!((outcome.printed.as_str(), outcome.ended.limit_hit), ("done\n", None));
}

#[test]
fn files_in_shared_memory_count_as_memory() {
    let mut cell = Cell::new(SandboxLevel::Full);
    cell.limits.memory = 128 << 20;
    let outcome = cell.python(
        "block = bytes(1 << 20)\nfile = open('/dev/shm/x', 'wb')\nfor _ in range(120):\n    \
         file.write(block)\neaten = b'x' * (64 << 20)\ntime.sleep(60)",
    );
    assert_eq!(outcome.ended.limit_hit.expect("a limit").limit, Limit::Memory);
}

#[test]
fn running_too_long_is_ended() {
    for level in SandboxLevel::ALL {
        let mut cell = Cell::new(*level);
        cell.limits.time = Duration::from_millis(700);
        let begun = Instant::now();
        let outcome = cell.python(
            "import signal\nfor number in range(1, 32):\n    \
             try: signal.signal(number, signal.SIG_IGN)\n    except OSError: pass\n\
             print('begun')\nwhile True: pass",
        );
        let hit = outcome.ended.limit_hit.expect("a limit");
        assert_eq!((hit.limit, hit.allowed), (Limit::Time, 700), "{level:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{level:?}");
    }
}

#[test]
fn nothing_outlives_it() {
    for level in SandboxLevel::ALL {
        let cell = Cell::new(*level);
        let outcome = cell.python(&format!(
            "import subprocess\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        \
             for fd in range(3): os.close(fd)\n        \
             os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)', \
             '{}'])\n    os._exit(0)\nos.wait()\nprint('done')",
            cell.token()
        ));
        assert_eq!(outcome.printed, "done\n", "{level:?}");
        assert!(outcome.ended.wall < Duration::from_mins(1));
        assert!(!anyone_says(&cell.token()), "{level:?}");
    }
}

#[test]
fn it_ends_with_mpkg() {
    if let Some(role) = std::env::var_os(ROLE) {
        // This is the process that is to be killed below.
        let level = SandboxLevel::from_word(&role.to_string_lossy()).unwrap();
        let cell = Cell::new(level);
        let token = std::env::var("MPKG_TEST_TOKEN").unwrap();
        cell.python(&format!(
            "os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(50)', \
             '{token}'])"
        ));
        return;
    }
    for level in SandboxLevel::ALL {
        let token = format!("mpkg-test-killed-{}-{}", level.as_str(), std::process::id());
        let mut mpkg = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sandbox::it_ends_with_mpkg"])
            .env(ROLE, level.as_str())
            .env("MPKG_TEST_TOKEN", &token)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        cell::until("it runs", || anyone_says(&token));
        mpkg.kill().unwrap();
        mpkg.wait().unwrap();
        cell::until("it has ended", || !anyone_says(&token));
    }
}

#[test]
fn without_any_layer_the_record_says_so() {
    let outcome = Cell::new(SandboxLevel::None).python("print('free')");
    assert_eq!(outcome.ended.layers, [""; 0]);
    assert_eq!(Cell::new(SandboxLevel::None).plan.taint(), Some("no-sandbox"));
    assert_eq!(Cell::new(SandboxLevel::Seccomp).plan.taint(), Some("sandbox-without-landlock"));
    assert_eq!(Cell::new(SandboxLevel::Landlock).plan.taint(), None);
}

#[test]
fn a_failing_command_tells_its_exit_code_or_signal() {
    let cell = Cell::new(SandboxLevel::Full);
    assert_eq!(cell.python("sys.exit(7)").ended.status, Status::Code(7));
    assert_eq!(cell.python("os.kill(os.getpid(), 11)").ended.status, Status::Signal(11));
}

#[test]
fn a_command_that_is_not_there_is_named() {
    for level in SandboxLevel::ALL {
        let error = Cell::new(*level).run("no-such-program", &[]).unwrap_err();
        assert_eq!(error.to_string(), "cannot start no-such-program in the sandbox");
        assert_eq!(error.kind(), "program-not-found");
        assert!(error.hint().unwrap().contains("/usr/bin:"));
    }
}

#[test]
fn what_it_used_is_told() {
    let ended = Cell::new(SandboxLevel::Full)
        .python("eaten = b'x' * (64 << 20)\nwhile time.process_time() < 0.3: pass")
        .ended;
    assert!(ended.cpu_user + ended.cpu_system >= Duration::from_millis(290), "{ended:?}");
    assert!(ended.wall >= Duration::from_millis(290), "{ended:?}");
    assert!((64 << 20..256 << 20).contains(&ended.peak_memory), "{ended:?}");
}

#[test]
fn gpus_that_are_not_there_are_refused() {
    let mut cell = Cell::new(SandboxLevel::Full);
    cell.gpus = 64;
    let error = cell.run("/bin/true", &[]).unwrap_err();
    assert!(error.to_string().starts_with("64 accelerators are needed"), "{error}");
}

/// Runs the tests above that a user's rights matter to once more as an ordinary user, with copies
/// of both programs that it can read.
#[test]
fn it_holds_for_an_ordinary_user() {
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = crate::support::World::new();
    cell::open_to_all(world.root());
    let tests = world.path("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    let mpkg = world.path("mpkg");
    std::fs::copy(cell::mpkg(), &mpkg).unwrap();
    let temporary = world.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    std::os::unix::fs::chown(&temporary, Some(NOBODY), Some(NOBODY)).unwrap();
    let output = Command::new(&tests)
        .args(["sandbox::cannot", "sandbox::a_fork_bomb", "sandbox::nothing", "sandbox::writes"])
        .env("TMPDIR", &temporary)
        .env(cell::PROGRAM, &mpkg)
        .current_dir(world.root())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(!printed.contains(" 0 passed"), "{printed}");
}
