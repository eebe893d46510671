//! The parser: items become nodes. Where it looks ahead, and what it then says, is as in Go.

use super::lex::{Item, Kind, Lexer};
use super::node::{Branch, BranchKind, Command, Node, Nodes, Operand, OperandKind, Pipe, Place, Tree};
use crate::error::{Error, ErrorKind};
use crate::quote::{quote, unquote};
use crate::text::Text;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Control structures and parentheses nested deeper than this are refused: each level needs stack.
const DEEPEST: usize = 200;

/// What actions stand between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delimiters {
    pub(crate) left: Text,
    pub(crate) right: Text,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self { left: "{{".into(), right: "}}".into() }
    }
}

/// Whether a function of that name is known.
pub(crate) type Defined<'d> = &'d dyn Fn(&[u8]) -> bool;

/// The templates that `text` is and defines, by their names.
pub(crate) fn parse(
    name: &Text,
    text: &[u8],
    delimiters: &Delimiters,
    defined: Defined<'_>,
) -> Result<BTreeMap<Text, Arc<Tree>>, Error> {
    if Place::try_from(text.len()).is_err() {
        let what = format!(": has {} bytes, and may have {} at most", text.len(), Place::MAX);
        return Err(Error::new(ErrorKind::Parse, [b"template: ", &name[..], what.as_bytes()].concat()));
    }
    let mut lexer = Lexer::new(text, &delimiters.left, &delimiters.right);
    lexer.break_is_keyword = !defined(b"break");
    lexer.continue_is_keyword = !defined(b"continue");
    let mut file = File {
        name,
        text: text.into(),
        lexer,
        defined,
        trees: BTreeMap::new(),
        nesting: 0,
        nodes: Vec::new(),
        commands: Vec::new(),
        operands: Vec::new(),
    };
    let mut parser = Parser::new(&mut file);
    let root = parser.file()?;
    parser.add(name.clone(), root)?;
    Ok(file.trees)
}

/// What all templates of one text share while it is parsed.
pub(super) struct File<'f> {
    name: &'f Text,
    pub(super) text: Arc<[u8]>,
    lexer: Lexer<'f>,
    pub(super) defined: Defined<'f>,
    trees: BTreeMap<Text, Arc<Tree>>,
    nesting: usize,
    /// What belongs to sequences whose end was not seen so far: each takes its own from the top when it ends, and is as large as it has to be.
    nodes: Vec<Node>,
    pub(super) commands: Vec<Command>,
    pub(super) operands: Vec<Operand>,
}

/// Takes off what stands above `below` others.
pub(super) fn above<T>(stack: &mut Vec<T>, below: usize) -> Box<[T]> {
    stack.drain(below..).collect()
}

/// The parser of one template.
pub(super) struct Parser<'p, 'f> {
    pub(super) file: &'p mut File<'f>,
    /// Items that were looked at, the next one last.
    tokens: [Item<'f>; 3],
    peeked: usize,
    pub(super) variables: Vec<&'f [u8]>,
    /// The line that the action began at, zero outside of actions.
    action_line: usize,
    ranges: usize,
}

/// A node, or what ends a sequence of them.
pub(super) enum Parsed {
    Node(Node),
    /// With its place.
    Else(Place),
    End,
}

impl Parsed {
    fn describe(&self, source: &[u8]) -> Vec<u8> {
        match self {
            Self::Node(node) => {
                let mut out = Vec::new();
                super::Located::write(node, source, &mut out);
                out
            }
            Self::Else(_) => b"{{else}}".to_vec(),
            Self::End => b"{{end}}".to_vec(),
        }
    }
}

impl<'p, 'f> Parser<'p, 'f> {
    fn new(file: &'p mut File<'f>) -> Self {
        let none = Item { kind: Kind::Error, at: 0, text: &[], line: 0 };
        Self { file, tokens: [none; 3], peeked: 0, variables: vec![b"$"], action_line: 0, ranges: 0 }
    }

    pub(super) fn next(&mut self) -> Item<'f> {
        if self.peeked > 0 {
            self.peeked -= 1;
        } else {
            self.tokens[0] = self.file.lexer.next_item();
        }
        self.tokens[self.peeked]
    }

    pub(super) fn backup(&mut self) {
        self.peeked += 1;
    }

    /// Two back: the last one is still in its place.
    pub(super) fn backup_two(&mut self, before: Item<'f>) {
        self.tokens[1] = before;
        self.peeked = 2;
    }

    pub(super) fn backup_three(&mut self, first: Item<'f>, second: Item<'f>) {
        self.tokens[1] = second;
        self.tokens[2] = first;
        self.peeked = 3;
    }

    pub(super) fn peek(&mut self) -> Item<'f> {
        if self.peeked == 0 {
            self.peeked = 1;
            self.tokens[0] = self.file.lexer.next_item();
        }
        self.tokens[self.peeked - 1]
    }

    pub(super) fn next_non_space(&mut self) -> Item<'f> {
        loop {
            let item = self.next();
            if item.kind != Kind::Space {
                return item;
            }
        }
    }

    pub(super) fn peek_non_space(&mut self) -> Item<'f> {
        let item = self.next_non_space();
        self.backup();
        item
    }

    pub(super) fn error(&self, what: impl AsRef<[u8]>) -> Error {
        let place = format!(":{}: ", self.tokens[0].line);
        let text = [b"template: ", &self.file.name[..], place.as_bytes(), what.as_ref()].concat();
        Error::new(ErrorKind::Parse, text)
    }

    pub(super) fn unexpected(&self, item: &Item<'_>, context: &str) -> Error {
        if item.kind != Kind::Error {
            let what = [b"unexpected ", &item.describe()[..], b" in ", context.as_bytes()].concat();
            return self.error(what);
        }
        let mut extra = Vec::new();
        if self.action_line != 0 && self.action_line != item.line {
            if !self.file.lexer.message.ends_with(b" action") {
                extra.extend_from_slice(b" in action");
            }
            extra.extend_from_slice(b" started at ");
            extra.extend_from_slice(self.file.name);
            extra.extend_from_slice(format!(":{}", self.action_line).as_bytes());
        }
        self.error([&self.file.lexer.message[..], &extra].concat())
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Item<'f>, Error> {
        let item = self.next_non_space();
        if item.kind == kind { Ok(item) } else { Err(self.unexpected(&item, context)) }
    }

    /// One level deeper, for as long as `inside` runs.
    pub(super) fn nested<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.file.nesting == DEEPEST {
            return Err(self.error("max expression depth exceeded"));
        }
        self.file.nesting += 1;
        let result = inside(self);
        self.file.nesting -= 1;
        result
    }

    fn add(&mut self, name: Text, root: Nodes) -> Result<(), Error> {
        if let Some(earlier) = self.file.trees.get(&name)
            && !earlier.root.is_empty(&earlier.text)
        {
            if root.is_empty(&self.file.text) {
                return Ok(());
            }
            let what = [b"template: multiple definition of template ", &quote(&name)[..]].concat();
            return Err(self.error(what));
        }
        let tree = Tree {
            name: name.clone(),
            parse_name: self.file.name.clone(),
            text: Arc::clone(&self.file.text),
            root,
        };
        self.file.trees.insert(name, Arc::new(tree));
        Ok(())
    }

    /// The whole text: definitions stand only at its top.
    fn file(&mut self) -> Result<Nodes, Error> {
        let (at, below) = (self.peek().at, self.file.nodes.len());
        loop {
            match self.peek().kind {
                Kind::Eof => return Ok(Nodes { at, nodes: above(&mut self.file.nodes, below) }),
                Kind::LeftDelim => {
                    let delim = self.next();
                    if self.next_non_space().kind == Kind::Define {
                        Parser::new(self.file).definition()?;
                        continue;
                    }
                    self.backup_two(delim);
                }
                _ => {}
            }
            match self.text_or_action()? {
                Parsed::Node(node) => self.file.nodes.push(node),
                end => return Err(self.error([b"unexpected ", &end.describe(&self.file.text)[..]].concat())),
            }
        }
    }

    /// What follows on `{{define`.
    fn definition(&mut self) -> Result<(), Error> {
        let context = "define clause";
        let item = self.next_non_space();
        if !matches!(item.kind, Kind::String | Kind::RawString) {
            return Err(self.unexpected(&item, context));
        }
        let name = self.unquoted(&item)?;
        self.expect(Kind::RightDelim, context)?;
        self.body(name, context)
    }

    /// The nodes of a template up to its end.
    fn body(&mut self, name: Text, context: &str) -> Result<(), Error> {
        let (root, end) = self.list()?;
        if !matches!(end, Parsed::End) {
            let what =
                [b"unexpected ", &end.describe(&self.file.text)[..], b" in ", context.as_bytes()].concat();
            return Err(self.error(what));
        }
        self.add(name, root)
    }

    fn unquoted(&self, item: &Item<'_>) -> Result<Text, Error> {
        unquote(item.text).map(Text::from).map_err(|_| self.error("invalid syntax"))
    }

    /// Nodes up to an `else` or `end`.
    fn list(&mut self) -> Result<(Nodes, Parsed), Error> {
        let (at, below) = (self.peek_non_space().at, self.file.nodes.len());
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Parsed::Node(node) => self.file.nodes.push(node),
                end => return Ok((Nodes { at, nodes: above(&mut self.file.nodes, below) }, end)),
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn text_or_action(&mut self) -> Result<Parsed, Error> {
        let item = self.next_non_space();
        match item.kind {
            Kind::Text => Ok(Parsed::Node(Node::Text(item.span()))),
            Kind::LeftDelim => {
                self.action_line = item.line;
                let parsed = self.action()?;
                self.action_line = 0;
                Ok(parsed)
            }
            _ => Err(self.unexpected(&item, "input")),
        }
    }

    /// What follows on the left delimiter.
    fn action(&mut self) -> Result<Parsed, Error> {
        let item = self.next_non_space();
        let node = match item.kind {
            Kind::Block => self.block()?,
            Kind::Break => self.leave("{{break}}", Node::Break { at: item.at })?,
            Kind::Continue => self.leave("{{continue}}", Node::Continue { at: item.at })?,
            Kind::Else => return self.otherwise(),
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Parsed::End);
            }
            Kind::If => self.control(BranchKind::If)?,
            Kind::Range => self.control(BranchKind::Range)?,
            Kind::With => self.control(BranchKind::With)?,
            Kind::Template => self.template()?,
            _ => {
                self.backup();
                let at = self.peek().at;
                Node::Action { at, pipe: self.pipeline("command", Kind::RightDelim)? }
            }
        };
        Ok(Parsed::Node(node))
    }

    /// `break` or `continue`.
    fn leave(&mut self, word: &str, node: Node) -> Result<Node, Error> {
        let item = self.next_non_space();
        if item.kind != Kind::RightDelim {
            return Err(self.unexpected(&item, word));
        }
        if self.ranges == 0 { Err(self.error(format!("{word} outside {{{{range}}}}"))) } else { Ok(node) }
    }

    /// `else`: what an `if` or `with` right after it begins is left to the control structure that it ends.
    fn otherwise(&mut self) -> Result<Parsed, Error> {
        let item = self.peek_non_space();
        if matches!(item.kind, Kind::If | Kind::With) {
            return Ok(Parsed::Else(item.at));
        }
        self.expect(Kind::RightDelim, "else").map(|item| Parsed::Else(item.at))
    }

    fn control(&mut self, kind: BranchKind) -> Result<Node, Error> {
        self.nested(|parser| {
            let visible = parser.variables.len();
            let branch = parser.branch(kind)?;
            parser.variables.truncate(visible);
            Ok(Node::Branch(Box::new(branch)))
        })
    }

    fn branch(&mut self, kind: BranchKind) -> Result<Branch, Error> {
        let pipe = self.pipeline(kind.word(), Kind::RightDelim)?;
        let ranges = usize::from(kind == BranchKind::Range);
        self.ranges += ranges;
        let (list, end) = self.list()?;
        self.ranges -= ranges;
        let otherwise = match end {
            Parsed::Else(at) => Some(self.else_list(kind, at)?),
            Parsed::End | Parsed::Node(_) => None,
        };
        Ok(Branch { kind, at: pipe.at, pipe, list, otherwise })
    }

    /// What stands between `else` and `end`. `{{else if}}` stands for `{{else}}{{if}}…{{end}}`.
    fn else_list(&mut self, kind: BranchKind, at: Place) -> Result<Nodes, Error> {
        let follows = match (kind, self.peek().kind) {
            (BranchKind::If, Kind::If) | (BranchKind::With, Kind::With) => true,
            (BranchKind::If | BranchKind::With | BranchKind::Range, _) => false,
        };
        if follows {
            self.next();
            return Ok(Nodes { at, nodes: Box::new([self.control(kind)?]) });
        }
        let (list, end) = self.list()?;
        if !matches!(end, Parsed::End) {
            return Err(self.error([b"expected end; found ", &end.describe(&self.file.text)[..]].concat()));
        }
        Ok(list)
    }

    /// `block`: a definition that is executed where it stands.
    fn block(&mut self) -> Result<Node, Error> {
        let context = "block clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, context)?;
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.nested(|parser| Parser::new(parser.file).body(name.clone(), context))?;
        Ok(Node::Template { at: item.at, name, pipe: Some(Box::new(pipe)) })
    }

    fn template(&mut self) -> Result<Node, Error> {
        let context = "template clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, context)?;
        let mut pipe: Option<Box<Pipe>> = None;
        if self.next_non_space().kind != Kind::RightDelim {
            self.backup();
            pipe = Some(Box::new(self.pipeline(context, Kind::RightDelim)?));
        }
        Ok(Node::Template { at: item.at, name, pipe })
    }

    fn template_name(&self, item: &Item<'_>, context: &str) -> Result<Text, Error> {
        match item.kind {
            Kind::String | Kind::RawString => self.unquoted(item),
            _ => Err(self.unexpected(item, context)),
        }
    }

    /// A constant text.
    pub(super) fn text_constant(&self, item: &Item<'_>) -> Result<Operand, Error> {
        let text = self.unquoted(item)?;
        Ok(Operand { at: item.at, kind: OperandKind::Text { end: item.span().end, text } })
    }
}
