//! Nodes of a parsed template, with their positions, and written as Go writes them in messages.

use super::number::Number;
use crate::quote::quote;
use crate::text::Text;
use std::sync::Arc;

/// A template that is parsed.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) name: Text,
    /// The name of the text that it was found in: a template can define others.
    pub(crate) parse_name: Text,
    pub(crate) text: Arc<[u8]>,
    pub(crate) root: Nodes,
}

impl Tree {
    /// `NAME:LINE:COLUMN`, with lines from one and columns from zero, in bytes.
    pub(crate) fn location(&self, at: usize) -> Vec<u8> {
        let before = &self.text[..at.min(self.text.len())];
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count();
        [&self.parse_name[..], format!(":{line}:{column}").as_bytes()].concat()
    }
}

/// A place in a text, in bytes: half as wide as the machine has it, since a tree consists of little else. Longer texts are refused
/// before they are read.
pub(crate) type Place = u32;

/// The place as nodes keep it.
pub(super) fn place(at: usize) -> Place {
    Place::try_from(at).unwrap_or(Place::MAX)
}

/// A part of the text that a tree was parsed from. What stands there is looked up when it is needed, not copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Place,
    pub(crate) end: Place,
}

impl Span {
    /// What stands there.
    pub(crate) fn of(self, source: &[u8]) -> &[u8] {
        source.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The names in `.one.two`.
    pub(crate) fn fields(self, source: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.of(source).split(|&byte| byte == b'.').skip(1)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// What a message can point at.
pub(crate) trait Located {
    /// Where it begins, in bytes.
    fn at(&self) -> usize;
    /// Writes it in its normal form; `source` is the text that it was parsed from.
    fn write(&self, source: &[u8], out: &mut Vec<u8>);
}

/// A sequence.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    pub(crate) at: Place,
    pub(crate) nodes: Box<[Node]>,
}

impl Nodes {
    /// Whether nothing is in it but space: such a template does not replace another.
    pub(crate) fn is_empty(&self, source: &[u8]) -> bool {
        self.nodes.iter().all(|node| match node {
            Node::Text(text) => text.of(source).trim_ascii().is_empty(),
            Node::Action { .. }
            | Node::Branch(_)
            | Node::Template { .. }
            | Node::Break { .. }
            | Node::Continue { .. } => false,
        })
    }
}

#[derive(Debug)]
pub(crate) enum Node {
    Text(Span),
    Action { at: Place, pipe: Pipe },
    Branch(Box<Branch>),
    Template { at: Place, name: Text, pipe: Option<Box<Pipe>> },
    Break { at: Place },
    Continue { at: Place },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BranchKind {
    If,
    Range,
    With,
}

impl BranchKind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::Range => "range",
            Self::With => "with",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) kind: BranchKind,
    pub(crate) at: Place,
    pub(crate) pipe: Pipe,
    pub(crate) list: Nodes,
    pub(crate) otherwise: Option<Nodes>,
}

#[derive(Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) at: Place,
    pub(crate) assign: bool,
    pub(crate) variables: Box<[Span]>,
    pub(crate) commands: Box<[Command]>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) at: Place,
    pub(crate) operands: Box<[Operand]>,
}

#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) at: Place,
    pub(crate) kind: OperandKind,
}

#[derive(Debug)]
pub(crate) enum OperandKind {
    Bool(bool),
    Dot,
    Nil,
    /// `.one.two`
    Field(Span),
    /// Fields of what is no field or variable: of a function or of a pipeline in parentheses.
    Chain(Box<Operand>, Span),
    Identifier(Span),
    Number(Box<Number>),
    /// What stands between quotes, and where these end: they begin where the operand does.
    Text {
        end: Place,
        text: Text,
    },
    /// Its name, and fields of it, of which there may be none.
    Variable(Span, Span),
    Pipe(Box<Pipe>),
}

impl Located for Nodes {
    fn at(&self) -> usize {
        self.at as usize
    }

    fn write(&self, source: &[u8], out: &mut Vec<u8>) {
        self.nodes.iter().for_each(|node| node.write(source, out));
    }
}

impl Located for Node {
    fn at(&self) -> usize {
        let at = match self {
            Self::Text(text) => text.start,
            Self::Branch(branch) => branch.at,
            Self::Action { at, .. }
            | Self::Template { at, .. }
            | Self::Break { at }
            | Self::Continue { at } => *at,
        };
        at as usize
    }

    fn write(&self, source: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text.of(source)),
            Self::Action { pipe, .. } => {
                out.extend_from_slice(b"{{");
                pipe.write(source, out);
                out.extend_from_slice(b"}}");
            }
            Self::Branch(branch) => branch.write(source, out),
            Self::Template { name, pipe, .. } => {
                out.extend_from_slice(b"{{template ");
                out.extend_from_slice(&quote(name));
                if let Some(pipe) = pipe {
                    out.push(b' ');
                    pipe.write(source, out);
                }
                out.extend_from_slice(b"}}");
            }
            Self::Break { .. } => out.extend_from_slice(b"{{break}}"),
            Self::Continue { .. } => out.extend_from_slice(b"{{continue}}"),
        }
    }
}

impl Located for Branch {
    fn at(&self) -> usize {
        self.at as usize
    }

    fn write(&self, source: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{{{{{} ", self.kind.word()).as_bytes());
        self.pipe.write(source, out);
        out.extend_from_slice(b"}}");
        self.list.write(source, out);
        if let Some(otherwise) = &self.otherwise {
            out.extend_from_slice(b"{{else}}");
            otherwise.write(source, out);
        }
        out.extend_from_slice(b"{{end}}");
    }
}

impl Located for Pipe {
    fn at(&self) -> usize {
        self.at as usize
    }

    fn write(&self, source: &[u8], out: &mut Vec<u8>) {
        for (index, variable) in self.variables.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(variable.of(source));
        }
        if !self.variables.is_empty() {
            out.extend_from_slice(if self.assign { b" = " } else { b" := " });
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b" | ");
            }
            command.write(source, out);
        }
    }
}

impl Located for Command {
    fn at(&self) -> usize {
        self.at as usize
    }

    fn write(&self, source: &[u8], out: &mut Vec<u8>) {
        for (index, operand) in self.operands.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            operand.write_parenthesized(source, out);
        }
    }
}

impl Operand {
    fn write_parenthesized(&self, source: &[u8], out: &mut Vec<u8>) {
        if matches!(self.kind, OperandKind::Pipe(_)) {
            out.push(b'(');
            self.write(source, out);
            out.push(b')');
        } else {
            self.write(source, out);
        }
    }

    /// The operand in its normal form.
    pub(crate) fn to_bytes(&self, source: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(source, &mut out);
        out
    }
}

impl Located for Operand {
    fn at(&self) -> usize {
        self.at as usize
    }

    fn write(&self, source: &[u8], out: &mut Vec<u8>) {
        match &self.kind {
            OperandKind::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            OperandKind::Dot => out.push(b'.'),
            OperandKind::Nil => out.extend_from_slice(b"nil"),
            OperandKind::Field(fields) => out.extend_from_slice(fields.of(source)),
            OperandKind::Chain(operand, fields) => {
                operand.write_parenthesized(source, out);
                out.extend_from_slice(fields.of(source));
            }
            OperandKind::Identifier(name) => out.extend_from_slice(name.of(source)),
            OperandKind::Number(number) => out.extend_from_slice(number.text.as_bytes()),
            OperandKind::Text { end, .. } => {
                out.extend_from_slice(Span { start: self.at, end: *end }.of(source));
            }
            OperandKind::Variable(name, fields) => {
                out.extend_from_slice(name.of(source));
                out.extend_from_slice(fields.of(source));
            }
            OperandKind::Pipe(pipe) => pipe.write(source, out),
        }
    }
}
