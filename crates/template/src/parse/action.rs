//! What stands within an action: pipelines, commands, operands.

use super::lex::{Item, Kind};
use super::node::{Command, Operand, OperandKind, Pipe, Span};
use super::number::Number;
use super::parser::{Parser, above};
use crate::error::Error;
use crate::quote::quote;

/// What stands before `:=` or `=`.
#[derive(Default)]
struct Declared {
    assign: bool,
    variables: Vec<Span>,
}

impl<'f> Parser<'_, 'f> {
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe, Error> {
        let (at, below) = (self.peek_non_space().at, self.file.commands.len());
        let mut declared = Declared::default();
        while self.declaration(&mut declared, context)? {}
        loop {
            let item = self.next_non_space();
            match item.kind {
                kind if kind == end => {
                    let commands = above(&mut self.file.commands, below);
                    self.check_pipeline(&commands, context)?;
                    let Declared { assign, variables } = declared;
                    return Ok(Pipe { at, assign, variables: variables.into(), commands });
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    self.file.commands.push(command);
                }
                _ => return Err(self.unexpected(&item, context)),
            }
        }
    }

    /// A variable that is declared or assigned. True where a second one of a `range` must follow.
    fn declaration(&mut self, declared: &mut Declared, context: &str) -> Result<bool, Error> {
        let variable = self.peek_non_space();
        if variable.kind != Kind::Variable {
            return Ok(false);
        }
        self.next();
        // Space is an item: in "$x foo" the foo must be seen to know that $x is an argument.
        let after = self.peek();
        let next = self.peek_non_space();
        let comma = next.kind == Kind::Char && next.text == b",";
        match next.kind {
            Kind::Assign | Kind::Declare => {
                declared.assign = next.kind == Kind::Assign;
                self.next_non_space();
                self.declare(declared, &variable);
            }
            _ if comma => {
                self.next_non_space();
                self.declare(declared, &variable);
                if context == "range" && declared.variables.len() < 2 {
                    return match self.peek_non_space().kind {
                        Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(true),
                        _ => Err(self.error("range can only initialize variables")),
                    };
                }
                return Err(self.error(format!("too many declarations in {context}")));
            }
            _ if after.kind == Kind::Space => self.backup_three(variable, after),
            _ => self.backup_two(variable),
        }
        Ok(false)
    }

    fn declare(&mut self, declared: &mut Declared, variable: &Item<'f>) {
        declared.variables.push(variable.span());
        self.variables.push(variable.text);
    }

    fn check_pipeline(&self, commands: &[Command], context: &str) -> Result<(), Error> {
        if commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        for (index, command) in commands.iter().enumerate().skip(1) {
            let executable = match command.operands.first().map(|operand| &operand.kind) {
                Some(
                    OperandKind::Bool(_)
                    | OperandKind::Dot
                    | OperandKind::Nil
                    | OperandKind::Number(_)
                    | OperandKind::Text { .. },
                ) => false,
                Some(
                    OperandKind::Field(_)
                    | OperandKind::Chain(..)
                    | OperandKind::Identifier(_)
                    | OperandKind::Variable(..)
                    | OperandKind::Pipe(_),
                )
                | None => true,
            };
            if !executable {
                return Err(self.error(format!("non executable command in pipeline stage {}", index + 1)));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command, Error> {
        let (at, below) = (self.peek_non_space().at, self.file.operands.len());
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                self.file.operands.push(operand);
            }
            let item = self.next();
            match item.kind {
                Kind::Space => {}
                Kind::RightDelim | Kind::RightParen => {
                    self.backup();
                    break;
                }
                Kind::Pipe => break,
                _ => return Err(self.unexpected(&item, "operand")),
            }
        }
        let operands = above(&mut self.file.operands, below);
        if operands.is_empty() { Err(self.error("empty command")) } else { Ok(Command { at, operands }) }
    }

    /// A term with the fields that follow on it.
    fn operand(&mut self) -> Result<Option<Operand>, Error> {
        let Some(term) = self.term()? else { return Ok(None) };
        let first = self.peek();
        if first.kind != Kind::Field {
            return Ok(Some(term));
        }
        let mut more = first.span();
        while self.peek().kind == Kind::Field {
            more.end = self.next().span().end;
        }
        // Where a field goes on, the whole is named by the place of what was added.
        let kind = match term.kind {
            OperandKind::Field(fields) => OperandKind::Field(Span { end: more.end, ..fields }),
            OperandKind::Variable(name, _) => OperandKind::Variable(name, more),
            OperandKind::Bool(_)
            | OperandKind::Text { .. }
            | OperandKind::Number(_)
            | OperandKind::Nil
            | OperandKind::Dot => {
                let what =
                    [b"unexpected . after term ", &quote(&term.to_bytes(&self.file.text))[..]].concat();
                return Err(self.error(what));
            }
            OperandKind::Identifier(_) | OperandKind::Pipe(_) | OperandKind::Chain(..) => {
                OperandKind::Chain(Box::new(term), more)
            }
        };
        Ok(Some(Operand { at: first.at, kind }))
    }

    fn term(&mut self) -> Result<Option<Operand>, Error> {
        let item = self.next_non_space();
        let kind = match item.kind {
            Kind::Identifier => {
                if !(self.file.defined)(item.text) {
                    let what = [b"function ", &quote(item.text)[..], b" not defined"].concat();
                    return Err(self.error(what));
                }
                OperandKind::Identifier(item.span())
            }
            Kind::Dot => OperandKind::Dot,
            Kind::Nil => OperandKind::Nil,
            Kind::Variable => {
                if !self.variables.contains(&item.text) {
                    let what = [b"undefined variable ", &quote(item.text)[..]].concat();
                    return Err(self.error(what));
                }
                OperandKind::Variable(item.span(), Span { start: item.at, end: item.at })
            }
            Kind::Field => OperandKind::Field(item.span()),
            Kind::Bool => OperandKind::Bool(item.text == b"true"),
            Kind::CharConstant => {
                OperandKind::Number(Number::parse_char(item.text).map_err(|what| self.error(what))?.into())
            }
            Kind::Complex | Kind::Number => {
                OperandKind::Number(Number::parse(item.text).map_err(|what| self.error(what))?.into())
            }
            Kind::LeftParen => {
                let pipe =
                    self.nested(|parser| parser.pipeline("parenthesized pipeline", Kind::RightParen))?;
                return Ok(Some(Operand { at: pipe.at, kind: OperandKind::Pipe(Box::new(pipe)) }));
            }
            Kind::String | Kind::RawString => return self.text_constant(&item).map(Some),
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(Operand { at: item.at, kind }))
    }
}
