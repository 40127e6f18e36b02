//! Reads what a command prints, line by line, with limits.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStderr, ChildStdout};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::Stream;

/// The longest line in bytes that is handed on whole; the rest of a longer one is left out.
const LONGEST_LINE: usize = 64 << 10;

/// How many bytes of each stream are handed on; what comes after is left out, after saying so.
const MOST_OUTPUT: u64 = 256 << 20;

/// Hands on every line until both streams are at their end.
pub(super) fn follow(
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    on_line: &mut dyn FnMut(Stream, &str),
) {
    let (sender, lines) = sync_channel(256);
    thread::scope(|scope| {
        if let Some(out) = out {
            let sender = sender.clone();
            scope.spawn(move || read(out, Stream::Out, &sender));
        }
        if let Some(err) = err {
            let sender = sender.clone();
            scope.spawn(move || read(err, Stream::Err, &sender));
        }
        drop(sender);
        for (stream, line) in lines {
            on_line(stream, &line);
        }
    });
}

fn read(from: impl Read, stream: Stream, to: &SyncSender<(Stream, String)>) {
    let mut lines = Lines::of(BufReader::with_capacity(LONGEST_LINE, from));
    let mut sent = 0;
    while let Some(line) = lines.next_line() {
        let before = sent;
        sent += line.len() as u64 + 1;
        let line = match (before > MOST_OUTPUT, sent > MOST_OUTPUT) {
            (true, _) => continue,
            (false, true) => "… (more than 256 MiB were printed; the rest is left out)".to_owned(),
            (false, false) => line,
        };
        // A receiver that is gone no longer wants lines; the stream is still read to its end, so
        // that the command does not block.
        let _ = to.send((stream, line));
    }
}

/// Cuts a stream into lines; a carriage return ends a line as well, as progress bars use it.
struct Lines<R> {
    reader: R,
    /// Whether the last line ended in a carriage return, so that a line feed belongs to it.
    after_return: bool,
}

impl<R: BufRead> Lines<R> {
    const fn of(reader: R) -> Self {
        Self { reader, after_return: false }
    }

    /// The next line without its end.
    fn next_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let mut left_out = 0;
        let mut any = false;
        while let Ok(buffer) = self.reader.fill_buf() {
            if buffer.is_empty() {
                break;
            }
            if std::mem::take(&mut self.after_return) && buffer[0] == b'\n' {
                self.reader.consume(1);
                continue;
            }
            any = true;
            let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let kept = piece.len().min(LONGEST_LINE - line.len());
            line.extend_from_slice(&piece[..kept]);
            left_out += piece.len() - kept;
            self.after_return = end.is_some_and(|end| buffer[end] == b'\r');
            let used = piece.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        any.then(|| finish(&line, left_out))
    }
}

fn finish(line: &[u8], left_out: usize) -> String {
    let text = String::from_utf8_lossy(line);
    match left_out {
        0 => text.into_owned(),
        _ => format!("{text}… ({left_out} bytes more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines = Lines::of(bytes);
        std::iter::from_fn(|| lines.next_line()).collect()
    }

    #[test]
    fn lines_end_at_every_kind_of_end() {
        assert_eq!(lines(b"a\nb\r\nc\rd\n\ne"), ["a", "b", "c", "d", "", "e"]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn long_lines_are_cut_and_bad_utf8_is_marked() {
        let mut long = vec![b'x'; LONGEST_LINE + 7];
        long.extend_from_slice(b"\n\xff\n");
        let lines = lines(&long);
        assert!(lines[0].ends_with("x… (7 bytes more)"), "{}", lines[0].len());
        assert_eq!(lines[1], "\u{fffd}");
    }
}
