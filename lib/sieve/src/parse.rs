//! The grammar: commands, tests, arguments, blocks. Knows no command by name.
//!
//! Standards   RFC 5228 8.2
//! Invariants  1. nesting of blocks and tests is bounded, so recursion is   2. after an error parsing goes on at the next statement, so that
//!             all errors show at once   3. at most [`ERRORS_MAX`] errors are kept

use crate::error::{Error, Pos};
use crate::lex::{Lexer, Token};

/// Deepest nesting of blocks.
const BLOCKS_MAX: u32 = 32;
/// Deepest nesting of tests.
const TESTS_MAX: u32 = 32;
/// Most arguments of one command.
const ARGUMENTS_MAX: usize = 32;
/// Errors kept.
pub(crate) const ERRORS_MAX: usize = 100;

/// A command or a test as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub pos: Pos,
    pub name: String,
    pub args: Vec<Arg>,
    pub tests: Vec<Node>,
    /// Tests stood in parentheses.
    pub test_list: bool,
    pub block: Option<Vec<Node>>,
}

/// An argument as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arg {
    pub pos: Pos,
    pub value: Raw,
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    Number(u64),
    Text(String),
    List(Vec<(Pos, String)>),
    Tag(String),
}

/// Parses a script; the tree is only to be used when there are no errors.
pub(crate) fn parse(text: &str) -> (Vec<Node>, Vec<Error>) {
    let mut parser =
        Parser { lexer: Lexer::new(text), token: Token::End, pos: Pos::default(), errors: Vec::new(), depth: 0 };
    parser.advance();
    let mut nodes = parser.commands();
    while parser.token != Token::End && parser.errors.len() < ERRORS_MAX {
        parser.unexpected("a command");
        parser.advance();
        nodes.extend(parser.commands());
    }
    parser.errors.truncate(ERRORS_MAX);
    (nodes, parser.errors)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    pos: Pos,
    errors: Vec<Error>,
    depth: u32,
}

/// A statement could not be read; recovery is the caller's.
struct Lost;

impl Parser<'_> {
    fn advance(&mut self) {
        (self.token, self.pos) = self.lexer.next(&mut self.errors);
    }

    fn error(&mut self, text: impl Into<String>) {
        self.errors.push(Error::new(self.pos, text));
    }

    /// Reports the current token unless the lexer did.
    fn unexpected(&mut self, wanted: &str) {
        if self.token != Token::Garbage {
            let found = self.token.describe();
            self.error(format!("expected {wanted}, but found {found}"));
        } else {
            self.error(format!("expected {wanted}"));
        }
    }

    fn commands(&mut self) -> Vec<Node> {
        let mut nodes = Vec::new();
        while !matches!(self.token, Token::End | Token::BraceClose) && self.errors.len() < ERRORS_MAX {
            match self.command() {
                Ok(node) => nodes.push(node),
                Err(Lost) => self.recover(),
            }
        }
        nodes
    }

    /// Skips to the end of the statement: past `;` or a block, or before the `}` of the enclosing block.
    fn recover(&mut self) {
        let mut depth = 0u32;
        loop {
            match self.token {
                Token::End => return,
                Token::Semicolon if depth == 0 => return self.advance(),
                Token::BraceOpen => depth += 1,
                Token::BraceClose if depth == 0 => return,
                Token::BraceClose => {
                    depth -= 1;
                    if depth == 0 {
                        return self.advance();
                    }
                }
                _ => {}
            }
            self.advance();
        }
    }

    fn command(&mut self) -> Result<Node, Lost> {
        let mut node = self.head("a command")?;
        match self.token {
            Token::Semicolon => self.advance(),
            Token::BraceOpen => node.block = Some(self.block()?),
            _ => {
                self.unexpected("';' or a block after the command");
                return Err(Lost);
            }
        }
        Ok(node)
    }

    fn block(&mut self) -> Result<Vec<Node>, Lost> {
        if self.depth >= BLOCKS_MAX {
            self.error(format!("blocks nested more than {BLOCKS_MAX} deep"));
            return Err(Lost);
        }
        self.advance();
        self.depth += 1;
        let nodes = self.commands();
        self.depth -= 1;
        if self.token == Token::BraceClose {
            self.advance();
        } else {
            self.unexpected("'}'");
        }
        Ok(nodes)
    }

    /// Name, arguments and tests, which commands and tests share.
    fn head(&mut self, wanted: &str) -> Result<Node, Lost> {
        let pos = self.pos;
        let Token::Identifier(name) = &self.token else {
            self.unexpected(wanted);
            return Err(Lost);
        };
        let name = name.clone();
        self.advance();
        let args = self.arguments()?;
        let mut node = Node { pos, name, args, tests: Vec::new(), test_list: false, block: None };
        self.tests(&mut node, 0)?;
        Ok(node)
    }

    fn tests(&mut self, node: &mut Node, depth: u32) -> Result<(), Lost> {
        match self.token {
            Token::Identifier(_) => node.tests.push(self.test(depth + 1)?),
            Token::ParenOpen => {
                node.test_list = true;
                self.test_list(node, depth + 1)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn test_list(&mut self, node: &mut Node, depth: u32) -> Result<(), Lost> {
        loop {
            self.advance();
            node.tests.push(self.test(depth)?);
            match self.token {
                Token::Comma => {}
                Token::ParenClose => {
                    self.advance();
                    return Ok(());
                }
                _ => {
                    self.unexpected("',' or ')' in the test list");
                    return Err(Lost);
                }
            }
        }
    }

    fn test(&mut self, depth: u32) -> Result<Node, Lost> {
        if depth > TESTS_MAX {
            self.error(format!("tests nested more than {TESTS_MAX} deep"));
            return Err(Lost);
        }
        let pos = self.pos;
        let Token::Identifier(name) = &self.token else {
            self.unexpected("a test");
            return Err(Lost);
        };
        let name = name.clone();
        self.advance();
        let args = self.arguments()?;
        let mut node = Node { pos, name, args, tests: Vec::new(), test_list: false, block: None };
        self.tests(&mut node, depth)?;
        Ok(node)
    }

    fn arguments(&mut self) -> Result<Vec<Arg>, Lost> {
        let mut args = Vec::new();
        loop {
            let pos = self.pos;
            let value = match &mut self.token {
                Token::Number(n) => Raw::Number(*n),
                Token::Text(t) => Raw::Text(std::mem::take(t)),
                Token::Tag(t) => Raw::Tag(std::mem::take(t)),
                Token::BracketOpen => {
                    args.push(Arg { pos, value: Raw::List(self.string_list()?) });
                    continue;
                }
                _ => return Ok(args),
            };
            if args.len() >= ARGUMENTS_MAX {
                self.error(format!("more than {ARGUMENTS_MAX} arguments"));
                return Err(Lost);
            }
            args.push(Arg { pos, value });
            self.advance();
        }
    }

    fn string_list(&mut self) -> Result<Vec<(Pos, String)>, Lost> {
        let mut list = Vec::new();
        loop {
            self.advance();
            let pos = self.pos;
            let Token::Text(text) = &mut self.token else {
                self.unexpected("a string in the string list");
                return Err(Lost);
            };
            list.push((pos, std::mem::take(text)));
            self.advance();
            match self.token {
                Token::Comma => {}
                Token::BracketClose => {
                    self.advance();
                    return Ok(list);
                }
                _ => {
                    self.unexpected("',' or ']' in the string list");
                    return Err(Lost);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree() {
        let (nodes, errors) = parse("if anyof(not true, header :is [\"a\",\"b\"] \"c\") { keep; } stop;");
        assert_eq!(errors, []);
        let [first, stop] = nodes.as_slice() else { panic!("{nodes:?}") };
        assert_eq!((first.name.as_str(), stop.name.as_str()), ("if", "stop"));
        let anyof = first.tests.first().expect("a test");
        assert!(anyof.test_list && anyof.tests.len() == 2);
        assert_eq!(first.block.as_ref().map(Vec::len), Some(1));
    }

    #[test]
    fn errors_do_not_hide_later_ones() {
        let (_, errors) = parse("keep\n\"a\" ]\n;\nif true { keep, }\nif anyof(true,) {}\n");
        let lines: Vec<u32> = errors.iter().map(|e| e.pos.line).collect();
        assert_eq!(lines, [2, 4, 5]);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "if true {".repeat(50_000);
        assert!(!parse(&deep).1.is_empty());
        let deep = format!("if {}true {{}}", "not ".repeat(50_000));
        assert!(!parse(&deep).1.is_empty());
        let deep = format!("if {}", "anyof(".repeat(50_000));
        assert!(!parse(&deep).1.is_empty());
    }
}
