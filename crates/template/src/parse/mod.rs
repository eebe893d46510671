//! From a template's text to trees: lexer, parser, nodes.

mod action;
mod lex;
mod node;
mod number;
mod parser;

pub(crate) use node::{
    Branch, BranchKind, Command, Located, Node, Nodes, Operand, OperandKind, Pipe, Span, Tree,
};
pub(crate) use number::Number;
pub(crate) use parser::{Delimiters, parse};
