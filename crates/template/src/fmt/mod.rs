//! Go's fmt for the values of templates: `print`, `println`, `printf` with all verbs and flags.
//!
//! What is printed is bounded by the room that the caller gives, and by the depth of values: a map can hold itself.
//! Addresses (`%p`, functions) are always those of nothing, so that equal inputs print equally.

mod scalar;
mod value;

use crate::error::{ErrorKind, Failure};
use crate::unicode;
use crate::value::Value;

/// Bytes that most of what is printed takes less than.
const LIKELY: usize = 64;

/// Values nested deeper than this are not printed.
const DEEPEST: usize = 300;

/// The flags of one verb.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "printf has that many flags")]
struct Flags {
    width: Option<usize>,
    precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`
    plus_v: bool,
    /// `%#v`
    sharp_v: bool,
}

/// What is printed so far.
struct Printer {
    out: Vec<u8>,
    room: usize,
    flags: Flags,
    /// Within the text of a wrong verb: methods are not called there.
    erroring: bool,
    refused: Option<&'static str>,
}

/// Go's `Sprint`: a space between two operands that are no strings.
pub(crate) fn sprint(arguments: &[Value], room: usize) -> Result<Vec<u8>, Failure> {
    let mut printer = Printer::new(room);
    let mut after_text = false;
    for (index, argument) in arguments.iter().enumerate() {
        let text = matches!(argument, Value::Text(_));
        if index > 0 && !text && !after_text {
            printer.out.push(b' ');
        }
        printer.argument(argument, 'v');
        after_text = text;
    }
    printer.finish()
}

/// Go's `Sprintln`: a space between any two operands, and a newline at the end.
pub(crate) fn sprintln(arguments: &[Value], room: usize) -> Result<Vec<u8>, Failure> {
    let mut printer = Printer::new(room);
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            printer.out.push(b' ');
        }
        printer.argument(argument, 'v');
    }
    printer.out.push(b'\n');
    printer.finish()
}

/// Go's `Sprintf`.
pub(crate) fn sprintf(format: &[u8], arguments: &[Value], room: usize) -> Result<Vec<u8>, Failure> {
    let mut printer = Printer::new(room);
    let mut reader = Format { text: format, at: 0, arguments, next: 0, reordered: false, good: true };
    while reader.at < format.len() && printer.refused.is_none() {
        let plain =
            format[reader.at..].iter().position(|&byte| byte == b'%').unwrap_or(format.len() - reader.at);
        printer.write(&format[reader.at..reader.at + plain]);
        reader.at += plain;
        if reader.at < format.len() {
            reader.at += 1;
            reader.verb(&mut printer);
        }
    }
    if !reader.reordered && reader.next < arguments.len() {
        printer.extra(&arguments[reader.next..]);
    }
    printer.finish()
}

/// Where a format is read, and which argument comes next.
struct Format<'f> {
    text: &'f [u8],
    at: usize,
    arguments: &'f [Value],
    next: usize,
    /// An argument was named by its index.
    reordered: bool,
    /// The indexes of this verb were in range.
    good: bool,
}

/// Go takes no larger width, precision or index.
const LARGEST: usize = 1_000_000;

impl Format<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// What follows a percent sign.
    fn verb(&mut self, printer: &mut Printer) {
        self.good = true;
        printer.flags = Flags::default();
        while let Some(flag) = self.peek() {
            match flag {
                b'#' => printer.flags.sharp = true,
                b'0' => printer.flags.zero = true,
                b'+' => printer.flags.plus = true,
                b'-' => printer.flags.minus = true,
                b' ' => printer.flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut after_index = self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            self.width_argument(printer);
            after_index = false;
        } else {
            printer.flags.width = self.number();
            self.good &= !(after_index && printer.flags.width.is_some());
        }
        if self.peek() == Some(b'.') && self.at + 1 < self.text.len() {
            self.at += 1;
            after_index = self.precision(printer, after_index);
        }
        if !after_index {
            self.index();
        }
        let (verb, width) = unicode::first(&self.text[self.at.min(self.text.len())..]);
        if width == 0 {
            return printer.write(b"%!(NOVERB)");
        }
        self.at += width;
        self.operand(printer, verb);
    }

    fn width_argument(&mut self, printer: &mut Printer) {
        match self.int_argument() {
            Some(width) => {
                printer.flags.width = Some(width.unsigned_abs());
                if width < 0 {
                    printer.flags.minus = true;
                    printer.flags.zero = false;
                }
            }
            None => printer.write(b"%!(BADWIDTH)"),
        }
    }

    fn precision(&mut self, printer: &mut Printer, after_index: bool) -> bool {
        self.good &= !after_index;
        let after_index = self.index();
        if self.peek() != Some(b'*') {
            printer.flags.precision = Some(self.number().unwrap_or(0));
            return after_index;
        }
        self.at += 1;
        printer.flags.precision = self.int_argument().and_then(|precision| usize::try_from(precision).ok());
        if printer.flags.precision.is_none() {
            printer.write(b"%!(BADPREC)");
        }
        false
    }

    fn operand(&mut self, printer: &mut Printer, verb: char) {
        let arguments = self.arguments;
        match arguments.get(self.next) {
            _ if verb == '%' => printer.write(b"%"),
            _ if !self.good => printer.complaint(verb, b"(BADINDEX)"),
            None => printer.complaint(verb, b"(MISSING)"),
            Some(argument) => {
                if verb == 'v' || verb == 'w' {
                    let flags = &mut printer.flags;
                    flags.sharp_v = std::mem::take(&mut flags.sharp);
                    flags.plus_v = std::mem::take(&mut flags.plus);
                }
                printer.argument(argument, verb);
                self.next += 1;
            }
        }
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let so_far = number.unwrap_or(0);
            if so_far > LARGEST {
                self.at = self.text.len();
                return None;
            }
            number = Some(so_far * 10 + usize::from(digit - b'0'));
            self.at += 1;
        }
        number
    }

    /// `[n]`: the next argument by its index. Tells whether there was one.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.text[self.at..];
        let Some(close) = rest.iter().position(|&byte| byte == b']').filter(|_| rest.len() >= 3) else {
            self.good = false;
            self.at += 1;
            return false;
        };
        let digits = &rest[1..close];
        self.at += close + 1;
        let number = digits.iter().try_fold(0_usize, |number, byte| match byte {
            b'0'..=b'9' if number <= LARGEST => Some(number * 10 + usize::from(byte - b'0')),
            _ => None,
        });
        let Some(number) = number.filter(|_| !digits.is_empty()) else {
            self.good = false;
            return false;
        };
        match number.checked_sub(1).filter(|&index| index < self.arguments.len()) {
            Some(index) => self.next = index,
            None => self.good = false,
        }
        true
    }

    /// The next argument as a width or precision.
    fn int_argument(&mut self) -> Option<isize> {
        let argument = self.arguments.get(self.next)?;
        self.next += 1;
        let number = match argument {
            Value::Int(_, value) => isize::try_from(*value).ok(),
            Value::Uint(_, value) => isize::try_from(*value).ok(),
            _ => None,
        };
        number.filter(|number| number.unsigned_abs() <= LARGEST)
    }
}

impl Printer {
    fn new(room: usize) -> Self {
        Self {
            out: Vec::with_capacity(LIKELY),
            room,
            flags: Flags::default(),
            erroring: false,
            refused: None,
        }
    }

    fn finish(self) -> Result<Vec<u8>, Failure> {
        let refused =
            self.refused.or((self.out.len() > self.room).then_some("the output is larger than allowed"));
        match refused {
            Some(why) => Err(Failure { kind: ErrorKind::Limit, text: why.into() }),
            None => Ok(self.out),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.out.len() + bytes.len() > self.room {
            self.refused.get_or_insert("the output is larger than allowed");
        }
        if self.refused.is_none() {
            self.out.extend_from_slice(bytes);
        }
    }

    fn complaint(&mut self, verb: char, what: &[u8]) {
        self.write(b"%!");
        self.write(verb.encode_utf8(&mut [0; 4]).as_bytes());
        self.write(what);
    }

    /// Arguments that no verb asked for.
    fn extra(&mut self, arguments: &[Value]) {
        self.flags = Flags::default();
        self.write(b"%!(EXTRA ");
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                self.write(b", ");
            }
            self.write(argument.type_name().as_bytes());
            if !matches!(argument, Value::Nil) {
                self.write(b"=");
                self.argument(argument, 'v');
            }
        }
        self.write(b")");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, arguments: &[Value], expected: &str) {
        let printed = sprintf(format.as_bytes(), arguments, 10_000).unwrap();
        assert_eq!(String::from_utf8_lossy(&printed), expected, "{format}");
    }

    #[test]
    fn indexes_widths_and_precisions_come_from_arguments() {
        check("%[2]d %[1]d", &[Value::int(1), Value::int(2)], "2 1");
        check(
            "%*d|%-*d|%.*f",
            &[4.into(), 7.into(), 4.into(), 7.into(), 1.into(), 2.55.into()],
            "   7|7   |2.5",
        );
        check("%[5]d", &[Value::int(1)], "%!d(BADINDEX)");
        check("%d %d", &[Value::int(1)], "1 %!d(MISSING)");
        check("%d", &[1.into(), "a".into()], "1%!(EXTRA string=a)");
        check("%!", &[], "%!!(NOVERB)".replace("!(NOVERB)", "!(MISSING)").as_str());
        check("100%", &[], "100%!(NOVERB)");
    }

    #[test]
    fn what_has_no_end_is_not_printed() {
        let Value::Map(map) = Value::map([("a", Value::int(1))]) else { unreachable!() };
        map.entries_mut().insert("self".into(), Value::Map(map.clone()));
        let refused = sprint(&[Value::Map(map.clone())], usize::MAX).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Limit);
        map.entries_mut().clear();
        assert_eq!(sprintf(b"%1000000d", &[Value::int(1)], 1000).unwrap_err().kind, ErrorKind::Limit);
    }
}
