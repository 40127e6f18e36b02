//! The third layer: which system calls a command may make, and with which arguments.
//!
//! What is refused is listed: everything that reaches another machine, another process, the
//! kernel's own settings, or lives on after the build. Calls newer than the list answer that they
//! do not exist, so that programs use the older ones.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::plan::Plan;
use super::settings::{Failure, Made};

/// The newest system call that the lists below know; numbers are the same on every machine from
/// 424 on.
const NEWEST_CALL: u32 = 470;

/// From this number on calls are those of another interface (x32), which the lists do not name.
const OTHER_INTERFACE: u32 = 0x4000_0000;

/// The version of Landlock from which it keeps a command off sockets with names in files.
const LANDLOCK_HOLDS_SOCKETS: u32 = 9;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls that are refused whatever their arguments.
const REFUSED: &[i64] = &[
    // other ways to the network and to files
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // the kernel
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // keys, which live on
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // mounts and namespaces
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // memory and queues that no process has to hold
    libc::SYS_shmget,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    libc::SYS_memfd_secret,
];

/// Calls that answer as if they did not exist, since programs then use older ones whose
/// arguments can be looked at.
const UNKNOWN: &[i64] = &[libc::SYS_clone3, libc::SYS_openat2];

/// The kinds of namespaces that `clone` makes.
const NEW_NAMESPACES: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Whether the lists fit this kind of machine.
pub(super) fn knows_this_machine() -> bool {
    TargetArch::try_from(std::env::consts::ARCH).is_ok()
}

/// Holds this process and all that it becomes.
pub(super) fn filter(plan: &Plan) -> Made<()> {
    let failed = |error: Box<dyn std::error::Error>| {
        let cause = io::Error::from_raw_os_error(libc::EINVAL);
        Failure::when(format!("filter system calls ({error})"))(cause)
    };
    for program in [
        newer_calls(),
        compile(refused(plan).map_err(failed)?, libc::EPERM).map_err(failed)?,
        compile(UNKNOWN.iter().map(|call| (*call, vec![])).collect(), libc::ENOSYS)
            .map_err(failed)?,
    ] {
        seccompiler::apply_filter(&program).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

type Compiled<T> = Result<T, Box<dyn std::error::Error>>;

fn compile(rules: Rules, answer: i32) -> Compiled<BpfProgram> {
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    let answer = SeccompAction::Errno(answer.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, machine)?;
    Ok(filter.try_into()?)
}

/// Answers calls that are newer than the lists, or of another interface, as if they did not
/// exist. Written by hand, as the crate has no conditions on the call's number.
fn newer_calls() -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, at offset 0 of seccomp_data
    const JUMP_IF_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let unknown = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let statement = |code, k| sock_filter { code, jt: 0, jf: 0, k };
    const { assert!(NEWEST_CALL < OTHER_INTERFACE) };
    vec![
        statement(LOAD_NUMBER, 0),
        sock_filter { code: JUMP_IF_GREATER, jt: 1, jf: 0, k: NEWEST_CALL },
        statement(RETURN, libc::SECCOMP_RET_ALLOW),
        statement(RETURN, unknown),
    ]
}

fn refused(plan: &Plan) -> Compiled<Rules> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, vec![])).collect();
    #[cfg(target_arch = "x86_64")]
    for call in [libc::SYS_kexec_file_load, libc::SYS_iopl, libc::SYS_ioperm] {
        rules.insert(call, vec![]);
    }
    sockets(&mut rules, plan)?;
    modes(&mut rules)?;
    for flag in NEW_NAMESPACES {
        let condition = has(0, flag.cast_unsigned())?;
        rules.entry(libc::SYS_clone).or_default().push(SeccompRule::new(vec![condition])?);
    }
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        let condition = SeccompCondition::new(
            1,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Eq,
            u64::from(u32::try_from(request).unwrap_or_default()),
        )?;
        rules.entry(libc::SYS_ioctl).or_default().push(SeccompRule::new(vec![condition])?);
    }
    Ok(rules)
}

/// Local sockets alone; and where nothing else keeps a command from sockets that other programs
/// listen on, only those among its own processes.
fn sockets(rules: &mut Rules, plan: &Plan) -> Compiled<()> {
    let local = u64::from(libc::AF_UNIX.cast_unsigned());
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, local)?;
        rules.entry(call).or_default().push(SeccompRule::new(vec![condition])?);
    }
    let landlock_holds = plan.landlock.is_some_and(|version| version >= LANDLOCK_HOLDS_SOCKETS);
    if plan.namespaces.is_some() || landlock_holds {
        return Ok(());
    }
    rules.insert(libc::SYS_connect, vec![]);
    let datagram = libc::SOCK_DGRAM.cast_unsigned();
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        let condition = SeccompCondition::new(
            1,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(0xf),
            datagram.into(),
        )?;
        rules.entry(call).or_default().push(SeccompRule::new(vec![condition])?);
    }
    Ok(())
}

/// No file that runs with its owner's or group's rights.
fn modes(rules: &mut Rules) -> Compiled<()> {
    let mut modes = vec![
        (libc::SYS_fchmod, 1),
        (libc::SYS_fchmodat, 2),
        (SYS_FCHMODAT2, 2),
        (libc::SYS_mknodat, 2),
    ];
    #[cfg(target_arch = "x86_64")]
    modes.extend([(libc::SYS_chmod, 1), (libc::SYS_creat, 1), (libc::SYS_mknod, 1)]);
    for bit in [libc::S_ISUID, libc::S_ISGID] {
        for (call, position) in &modes {
            let rule = SeccompRule::new(vec![has(*position, bit)?])?;
            rules.entry(*call).or_default().push(rule);
        }
        // The mode counts only where a file is made.
        let mut opens = vec![(libc::SYS_openat, 2, 3)];
        #[cfg(target_arch = "x86_64")]
        opens.push((libc::SYS_open, 1, 2));
        for (call, flags, mode) in opens {
            for flag in [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY] {
                let conditions = vec![has(flags, flag.cast_unsigned())?, has(mode, bit)?];
                rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
            }
        }
    }
    Ok(())
}

/// `fchmodat2`, which the C library's list does not have for every machine.
const SYS_FCHMODAT2: i64 = 452;

/// The condition that argument number `position` has all bits of `bits`.
fn has(position: u8, bits: u32) -> Compiled<SeccompCondition> {
    let bits = u64::from(bits);
    let operator = SeccompCmpOp::MaskedEq(bits);
    Ok(SeccompCondition::new(position, SeccompCmpArgLen::Dword, operator, bits)?)
}
