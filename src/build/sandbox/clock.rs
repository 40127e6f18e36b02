//! A clock that goes ahead or behind: the real-time clock of every program that a command starts.
//!
//! Linux has no namespace for it, and programs read it without a system call, through the code that
//! the kernel maps into each of them (the vDSO). So the process that watches the command follows
//! its processes as a debugger does, and each time one begins another program it puts other code
//! there, which asks the kernel and then adds the difference.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

use super::system::{self, Stop};

/// The longest vDSO that is looked at, in bytes.
const LONGEST: usize = 64 << 10;

/// The places in the list of values that the kernel hands to a program: the vDSO's address.
const VDSO_ADDRESS: u64 = 33;

/// The machine that the code below is for, in an ELF header.
const X86_64: u16 = 62;

/// The functions that read the clock, by their names in the vDSO.
const FUNCTIONS: [&str; 3] = ["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time"];

/// A jump to another place: one byte and 32 bits of distance.
const JUMP: usize = 5;

/// A clock that is so many seconds ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    ahead: i64,
}

/// Whether this system's programs can be given another clock.
pub(super) fn can_be_moved() -> bool {
    cfg!(target_arch = "x86_64") && Vdso::of("self").is_ok_and(|vdso| vdso.changed(0).is_some())
}

impl Clock {
    /// A clock that is `ahead` by so many seconds, where it is not the true one.
    pub(super) fn moved(ahead: i64) -> Option<Self> {
        (ahead != 0).then_some(Self { ahead })
    }

    /// Begins to follow `process`, which has not begun the command yet, and all that it starts.
    pub(super) fn follow(process: i32) -> io::Result<()> {
        system::follow(process)
    }

    /// Lets a process go on that has stopped because it is followed.
    pub(super) fn go_on(self, process: i32, stop: Stop) {
        if stop.is_new_program() && self.change(process).is_err() {
            // A build must not go on as if its clock were another.
            system::kill(process);
        }
        system::go_on(process, stop);
    }

    /// Changes the code of a program that is about to begin. One of another kind of machine (32
    /// bits) keeps its clock.
    fn change(self, process: i32) -> io::Result<()> {
        if has_32_bits(process)? {
            return Ok(());
        }
        let vdso = Vdso::of(&process.to_string())?;
        let changed = vdso.changed(self.ahead).ok_or(io::ErrorKind::Unsupported)?;
        let (old, _) = vdso.bytes.as_chunks::<8>();
        let (new, _) = changed.as_chunks::<8>();
        for (place, (old, new)) in (vdso.address..).step_by(8).zip(old.iter().zip(new)) {
            if old != new {
                system::overwrite(process, place, i64::from_le_bytes(*new))?;
            }
        }
        Ok(())
    }
}

/// Whether a process runs a program of 32 bits.
fn has_32_bits(process: i32) -> io::Result<bool> {
    let mut start = [0; 5];
    File::open(format!("/proc/{process}/exe"))?.read_exact(&mut start)?;
    Ok(start == *b"\x7fELF\x01")
}

/// The code that the kernel maps into a program.
struct Vdso {
    address: u64,
    bytes: Vec<u8>,
}

/// A function in it: where it begins, and its length.
type Function = (usize, usize);

impl Vdso {
    /// That of a process.
    fn of(process: &str) -> io::Result<Self> {
        let values = std::fs::read(format!("/proc/{process}/auxv"))?;
        let (words, _) = values.as_chunks::<8>();
        let (pairs, _) = words.as_chunks::<2>();
        let mut pairs = pairs.iter().map(|pair| pair.map(u64::from_le_bytes));
        let [_, address] =
            pairs.find(|[name, _]| *name == VDSO_ADDRESS).ok_or(io::ErrorKind::Unsupported)?;
        let memory = File::open(format!("/proc/{process}/mem"))?;
        let mut bytes = vec![0; 64];
        memory.read_exact_at(&mut bytes, address)?;
        let mut vdso = Self { address, bytes };
        if vdso.is_known() {
            let length = vdso.headers_end().ok_or(io::ErrorKind::InvalidData)?;
            vdso.bytes.resize(length, 0);
            memory.read_exact_at(&mut vdso.bytes, address)?;
            let length = vdso.length().ok_or(io::ErrorKind::InvalidData)?;
            vdso.bytes.resize(length, 0);
            memory.read_exact_at(&mut vdso.bytes, address)?;
        }
        Ok(vdso)
    }

    /// Whether it is 64-bit code of this kind of machine.
    fn is_known(&self) -> bool {
        self.bytes.starts_with(b"\x7fELF\x02\x01") && self.number::<2>(18) == Some(X86_64.into())
    }

    fn number<const N: usize>(&self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(N)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn place<const N: usize>(&self, at: usize) -> Option<usize> {
        self.number::<N>(at).and_then(|number| usize::try_from(number).ok())
    }

    fn headers_end(&self) -> Option<usize> {
        let end = self.place::<8>(32)?.checked_add(self.place::<2>(56)?.checked_mul(56)?)?;
        (end <= LONGEST).then_some(end)
    }

    /// Where the header of the first segment of a kind lies.
    fn segment(&self, kind: u64) -> Option<usize> {
        let (first, count) = (self.place::<8>(32)?, self.place::<2>(56)?);
        let mut headers = (0..count).map_while(|number| first.checked_add(number * 56));
        headers.find(|at| self.number::<4>(*at) == Some(kind))
    }

    /// How much of it is loaded, in whole words.
    fn length(&self) -> Option<usize> {
        let length = self.place::<8>(self.segment(1)? + 40)?.checked_next_multiple_of(8)?;
        (length <= LONGEST).then_some(length)
    }

    /// The value of an entry of the table that a program's loader reads.
    fn dynamic(&self, wanted: u64) -> Option<usize> {
        let table = self.place::<8>(self.segment(2)? + 16)?;
        let entries = (table..self.bytes.len()).step_by(16);
        entries
            .map_while(|at| self.number::<8>(at).filter(|tag| *tag != 0).map(|tag| (tag, at + 8)))
            .find(|(tag, _)| *tag == wanted)
            .and_then(|(_, at)| self.place::<8>(at))
    }

    fn function(&self, name: &str) -> Option<Function> {
        const SYMBOLS: u64 = 6;
        const NAMES: u64 = 5;
        let (symbols, names) = (self.dynamic(SYMBOLS)?, self.dynamic(NAMES)?);
        // The names follow upon the symbols.
        (symbols..names.min(self.bytes.len())).step_by(24).find_map(|at| {
            let found = names.checked_add(self.place::<4>(at)?)?;
            let found = self.bytes.get(found..)?.split(|byte| *byte == 0).next()?;
            let function = (self.place::<8>(at + 8)?, self.place::<8>(at + 16)?);
            let end = function.0.checked_add(function.1)?;
            (found == name.as_bytes() && end <= self.bytes.len()).then_some(function)
        })
    }

    /// The same with a clock that is ahead; `None` where it is not built as is known here.
    fn changed(&self, ahead: i64) -> Option<Vec<u8>> {
        let functions = FUNCTIONS.map(|name| self.function(name));
        let [Some(gettime), Some(of_day), Some(time)] = functions else { return None };
        let functions = [gettime, of_day, time];
        // The code is put into the longest of the functions, to which all the others jump.
        let host = functions.into_iter().max_by_key(|function| function.1)?;
        let mut bytes = self.bytes.clone();
        let mut end = host.0 + JUMP;
        for (function, code) in functions.into_iter().zip(code(ahead)) {
            let goal = end;
            end += code.len();
            if function.1 < JUMP || end > host.0 + host.1 {
                return None;
            }
            let distance = i64::try_from(goal).ok()? - i64::try_from(function.0 + JUMP).ok()?;
            bytes[function.0] = 0xe9;
            bytes[function.0 + 1..function.0 + JUMP]
                .copy_from_slice(&i32::try_from(distance).ok()?.to_le_bytes());
            bytes[goal..end].copy_from_slice(&code);
        }
        Some(bytes)
    }
}

/// What the three functions do in place of what they did: the system call, then `ahead` is added
/// where it has succeeded.
fn code(ahead: i64) -> [Vec<u8>; 3] {
    let ahead = ahead.to_le_bytes();
    let join = |parts: &[&[u8]]| parts.concat();
    [
        join(&[
            b"\xb8\xe4\x00\x00\x00\x0f\x05", // mov eax, clock_gettime; syscall
            b"\x85\xc0\x75\x1c",             // test eax, eax; jne end
            b"\x83\xff\x00\x74\x0a",         // cmp edi, CLOCK_REALTIME; je add
            b"\x83\xff\x05\x74\x05",         // cmp edi, CLOCK_REALTIME_COARSE; je add
            b"\x83\xff\x0b\x75\x0d",         // cmp edi, CLOCK_TAI; jne end
            b"\x48\xb9",
            &ahead,          // add: mov rcx, ahead
            b"\x48\x01\x0e", // add [rsi], rcx
            b"\xc3",         // end: ret
        ]),
        join(&[
            b"\xb8\x60\x00\x00\x00\x0f\x05", // mov eax, gettimeofday; syscall
            b"\x85\xc0\x75\x12",             // test eax, eax; jne end
            b"\x48\x85\xff\x74\x0d",         // test rdi, rdi; je end
            b"\x48\xb9",
            &ahead,          // mov rcx, ahead
            b"\x48\x01\x0f", // add [rdi], rcx
            b"\xc3",         // end: ret
        ]),
        join(&[
            b"\xb8\xc9\x00\x00\x00\x0f\x05", // mov eax, time; syscall
            b"\x48\xb9",
            &ahead,                  // mov rcx, ahead
            b"\x48\x01\xc8",         // add rax, rcx
            b"\x48\x85\xff\x74\x03", // test rdi, rdi; je end
            b"\x48\x89\x07",         // mov [rdi], rax
            b"\xc3",                 // end: ret
        ]),
    ]
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_this_system_are_found_and_changed_alone() {
        let vdso = Vdso::of("self").unwrap();
        let changed = vdso.changed(1).unwrap();
        let host = vdso.function(FUNCTIONS[0]).unwrap();
        assert_eq!(changed[host.0], 0xe9);
        let other = vdso.function("__vdso_getcpu").unwrap();
        assert_eq!(changed[other.0..other.0 + other.1], vdso.bytes[other.0..other.0 + other.1]);
        assert_eq!(changed.len(), vdso.bytes.len());
        assert!(can_be_moved());
    }

    #[test]
    fn what_is_no_such_code_is_left_alone() {
        for bytes in [vec![], vec![0; 64], b"\x7fELF\x02\x01".to_vec(), vec![0xff; 4096]] {
            let vdso = Vdso { address: 0, bytes };
            assert!(!vdso.is_known() && vdso.changed(1).is_none());
        }
    }
}
