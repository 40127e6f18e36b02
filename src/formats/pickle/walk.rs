//! A pickle is a program for a small stack machine. The walk steps through its instructions
//! without running them. Bytes that are no pickle fail within a few steps: an instruction is
//! unknown, its argument malformed, or the stack too short for it.

/// Steps through bytes that may be a pickle.
pub(super) struct Walk {
    state: State,
    /// How many things stand on the stack, those below marks as well.
    depth: u64,
    marks: Vec<u64>,
    steps: u64,
    /// Whether the file says its protocol.
    says_protocol: bool,
    /// Whether something was imported that a later instruction could call.
    imported: bool,
    position: u64,
    size: u64,
}

enum State {
    /// An instruction is next.
    Instruction,
    /// The length of its argument is read, byte by byte.
    Length { have: u32, want: u32, value: u64 },
    /// So many bytes of an argument are passed over.
    Skip(u64),
    /// An argument up to the end of its line; of a long one the first bytes are kept.
    Line { instruction: u8, more: u8, text: Vec<u8> },
    /// It is no pickle.
    Off,
    /// It is one.
    Found,
}

/// No honest pickle has so many open marks; a walk that counts them must end.
const MOST_MARKS: usize = 1 << 16;
const KEPT_OF_A_LINE: usize = 256;

impl Walk {
    pub(super) fn new(size: u64) -> Self {
        Self {
            state: State::Instruction,
            depth: 0,
            marks: Vec::new(),
            steps: 0,
            says_protocol: false,
            imported: false,
            position: 0,
            size,
        }
    }

    /// Takes the next bytes; whether a pickle was found in what was taken so far.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Off => return false,
                State::Found => return true,
                State::Skip(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = State::Instruction;
                    }
                    taken
                }
                State::Length { have, want, value } => {
                    *value |= u64::from(bytes[0]) << (8 * *have);
                    *have += 1;
                    if have == want {
                        let length = *value;
                        self.skip(length);
                    }
                    1
                }
                State::Line { .. } => self.line(bytes),
                State::Instruction => {
                    self.position += 1;
                    self.instruction(bytes[0]);
                    self.position -= 1;
                    1
                }
            };
            self.position += taken as u64;
            bytes = &bytes[taken..];
        }
        matches!(self.state, State::Found)
    }

    fn skip(&mut self, length: u64) {
        self.state = if length == 0 { State::Instruction } else { State::Skip(length) };
    }

    fn line(&mut self, bytes: &[u8]) -> usize {
        let State::Line { instruction, more, text } = &mut self.state else { return 0 };
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let piece = &bytes[..end.unwrap_or(bytes.len())];
        let room = KEPT_OF_A_LINE - text.len();
        text.extend_from_slice(&piece[..piece.len().min(room)]);
        let Some(end) = end else { return bytes.len() };
        let (instruction, more) = (*instruction, *more);
        if !is_argument(instruction, text) {
            self.state = State::Off;
        } else if more > 0 {
            self.state = State::Line { instruction, more: more - 1, text: Vec::new() };
        } else {
            self.state = State::Instruction;
            if instruction == b'i' {
                self.imported = true;
                self.close_mark(1);
                self.calls();
            }
        }
        end + 1
    }

    /// An instruction that would run what was imported.
    fn calls(&mut self) {
        if self.imported && !matches!(self.state, State::Off) {
            self.state = State::Found;
        }
    }

    /// Takes `needed` things above the last mark and puts `pushed` in their place.
    fn stack(&mut self, needed: u64, pushed: u64) {
        let below = self.marks.last().copied().unwrap_or_default();
        if self.depth < below + needed {
            self.state = State::Off;
        } else {
            self.depth = self.depth - needed + pushed;
        }
    }

    /// Takes everything above the last mark, and the mark, and puts `pushed` in their place.
    fn close_mark(&mut self, pushed: u64) {
        match self.marks.pop() {
            Some(depth) => self.depth = depth + pushed,
            None => self.state = State::Off,
        }
    }

    fn instruction(&mut self, code: u8) {
        self.steps += 1;
        self.state = argument(code, self.steps);
        match code {
            b'(' if self.marks.len() == MOST_MARKS => self.state = State::Found,
            b'(' => self.marks.push(self.depth),
            b'.' => self.stop(),
            b'0' if self.marks.last() == Some(&self.depth) => self.close_mark(0),
            b'0' | b'Q' => self.stack(1, u64::from(code == b'Q')),
            b'1' => self.close_mark(0),
            b'2' => self.stack(1, 2),
            b'N' | 0x88 | 0x89 | b'K' | b'M' | b'J' | b'I' | b'L' | 0x8a | 0x8b | b'G' | b'F'
            | b'S' | b'U' | b'T' | b'V' | b'X' | 0x8c | 0x8d | b'B' | b'C' | 0x8e | 0x96 | b']'
            | b'}' | b')' | 0x8f | b'g' | b'h' | b'j' | b'P' | 0x97 => self.stack(0, 1),
            b'c' | 0x82..=0x84 => {
                self.imported = true;
                self.stack(0, 1);
            }
            0x93 => {
                self.imported = true;
                self.stack(2, 1);
            }
            b'R' | b'b' | 0x81 => {
                self.stack(2, 1);
                self.calls();
            }
            0x92 => {
                self.stack(3, 1);
                self.calls();
            }
            b'o' => {
                self.close_mark(1);
                self.calls();
            }
            b'a' | 0x86 => self.stack(2, 1),
            b's' | 0x87 => self.stack(3, 1),
            b'd' | b'l' | b't' | 0x91 => self.close_mark(1),
            b'e' | b'u' | 0x90 => {
                self.close_mark(0);
                self.needs_one();
            }
            b'p' | b'q' | b'r' | 0x94 | 0x98 => self.needs_one(),
            0x85 => self.stack(1, 1),
            0x80 => self.says_protocol = true,
            b'i' | 0x95 => {}
            _ => self.state = State::Off,
        }
    }

    fn needs_one(&mut self) {
        if self.depth == 0 {
            self.state = State::Off;
        }
    }

    /// The end of a pickle. Without a stated protocol it must be that of the file and a whole
    /// one, for short texts can look alike.
    fn stop(&mut self) {
        let whole = self.depth == 1 && self.steps >= 4 && self.position == self.size;
        let is_one = self.depth > 0 && (self.says_protocol || whole);
        self.state = if is_one { State::Found } else { State::Off };
    }
}

/// What follows an instruction. A protocol is stated first of all or never.
fn argument(code: u8, step: u64) -> State {
    let length = |want| State::Length { have: 0, want, value: 0 };
    let line = |more| State::Line { instruction: code, more, text: Vec::new() };
    match code {
        0x80 if step > 1 => State::Off,
        b'K' | b'h' | b'q' | 0x80 | 0x82 => State::Skip(1),
        b'M' | 0x83 => State::Skip(2),
        b'J' | b'j' | b'r' | 0x84 => State::Skip(4),
        b'G' | 0x95 => State::Skip(8),
        b'U' | b'C' | 0x8a | 0x8c => length(1),
        b'T' | b'X' | b'B' | 0x8b => length(4),
        0x8d | 0x8e | 0x96 => length(8),
        b'F' | b'I' | b'L' | b'S' | b'V' | b'P' | b'g' | b'p' => line(0),
        b'c' | b'i' => line(1),
        _ => State::Instruction,
    }
}

/// Whether a line can be the argument of `instruction`.
fn is_argument(instruction: u8, line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let of = |allowed: fn(&u8) -> bool| !line.is_empty() && line.iter().all(allowed);
    match instruction {
        b'I' | b'g' | b'p' => of(|byte| byte.is_ascii_digit() || b"-+ _".contains(byte)),
        b'L' => of(|byte| byte.is_ascii_digit() || b"-+ _L".contains(byte)),
        b'F' => of(|byte| byte.is_ascii_alphanumeric() || b"-+._ ".contains(byte)),
        b'S' => matches!(line.first(), Some(b'\'' | b'"')),
        b'c' | b'i' => {
            of(|byte| byte.is_ascii_alphanumeric() || b"._".contains(byte) || *byte >= 0x80)
        }
        _ => true,
    }
}
