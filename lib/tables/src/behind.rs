//! What stands behind a table: a source that is asked key by key instead of a text that was read.
//!
//! Invariants  1. a question (begun with [`Question::begin`]) asks each key of a table once at most, and all of its
//!                sources together get one time limit   2. when a source cannot tell, the whole question is in trouble
//!                and no further source is asked: whoever answers looks at [`Question::trouble`] first
//! Failures    `Unavailable` ends here; a table whose source cannot tell answers "nothing" and the question carries why
//! Trust       keys are hostile, values are the admin's

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A source that cannot tell now, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells values by keys. A value is the right-hand side of the text table.
pub trait Source: fmt::Debug {
    /// The value of a key, by the deadline.
    fn get(&self, key: &str, deadline: Instant) -> Result<Option<String>, Unavailable>;

    /// Knows its keys: it holds those that differ in case too (see [`crate::compile`]).
    fn is_compiled(&self) -> bool {
        false
    }
}

/// The question that is being answered, shared by all tables.
#[derive(Debug, Clone, Default)]
pub struct Question(Rc<State>);

#[derive(Debug, Default)]
struct State {
    limit: Cell<Duration>,
    deadline: Cell<Option<Instant>>,
    trouble: RefCell<Option<String>>,
    answers: RefCell<HashMap<(String, String), Option<String>>>,
}

impl Question {
    /// How long each question may take from now on.
    pub fn set_limit(&self, limit: Duration) {
        self.0.limit.set(limit);
    }

    /// Begins the next question.
    pub fn begin(&self) {
        self.0.deadline.set(None);
        self.0.trouble.take();
        self.0.answers.borrow_mut().clear();
    }

    /// Why what was found so far means nothing.
    pub fn trouble(&self) -> Option<String> {
        self.0.trouble.borrow().clone()
    }

    fn fail(&self, why: String) {
        self.0.trouble.borrow_mut().get_or_insert(why);
    }

    /// The clock starts with the first source that is asked.
    fn deadline(&self) -> Instant {
        let deadline = self.0.deadline.get().unwrap_or_else(|| Instant::now() + self.0.limit.get());
        self.0.deadline.set(Some(deadline));
        deadline
    }
}

/// The source behind one table, if any.
#[derive(Debug, Clone, Default)]
pub struct Behind {
    name: String,
    source: Option<Rc<dyn Source>>,
    question: Question,
}

impl Behind {
    /// A source behind the table of this name.
    pub fn new(name: &str, source: Rc<dyn Source>, question: &Question) -> Behind {
        Behind { name: name.into(), source: Some(source), question: question.clone() }
    }

    /// There is a source.
    pub fn is_some(&self) -> bool {
        self.source.is_some()
    }

    /// See [`Source::is_compiled`].
    pub fn is_compiled(&self) -> bool {
        self.source.as_ref().is_some_and(|s| s.is_compiled())
    }

    /// The value of a key as the table reads it; one that `read` refuses is trouble as well.
    pub fn find<T>(&self, key: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = self.get(key)?;
        read(&value).map_err(|why| self.question.fail(format!("{}: {key}: {why}", self.name))).ok()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<String> {
        let source = self.source.as_ref()?;
        if self.question.0.trouble.borrow().is_some() {
            return None;
        }
        let place = (self.name.clone(), key.to_owned());
        if let Some(known) = self.question.0.answers.borrow().get(&place) {
            return known.clone();
        }
        match source.get(key, self.question.deadline()) {
            Ok(value) => {
                self.question.0.answers.borrow_mut().insert(place, value.clone());
                value
            }
            Err(why) => {
                self.question.fail(format!("{}: {why}", self.name));
                None
            }
        }
    }
}

/// A source that can never tell: the file is not what may be used.
#[derive(Debug)]
pub struct Refused(pub String);

impl Source for Refused {
    fn get(&self, _key: &str, _deadline: Instant) -> Result<Option<String>, Unavailable> {
        Err(Unavailable(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Counted(Cell<usize>);

    impl Source for Counted {
        fn get(&self, key: &str, _: Instant) -> Result<Option<String>, Unavailable> {
            self.0.set(self.0.get() + 1);
            match key {
                "bad" => Err(Unavailable("away".into())),
                "none" => Ok(None),
                k => Ok(Some(format!("<{k}>"))),
            }
        }
    }

    #[test]
    fn a_key_is_asked_once_a_question_and_trouble_ends_it() {
        let (question, source) = (Question::default(), Rc::new(Counted::default()));
        question.set_limit(Duration::from_secs(9));
        let behind = Behind::new("t", source.clone(), &question);
        question.begin();
        let ask = |k: &str| behind.get(k);
        assert_eq!(
            [ask("a"), ask("a"), ask("none"), ask("none")],
            [Some("<a>".into()), Some("<a>".into()), None, None]
        );
        assert_eq!((source.0.get(), question.trouble()), (2, None));
        assert_eq!((ask("bad"), ask("a"), ask("b")), (None, None, None));
        assert_eq!((source.0.get(), question.trouble().as_deref()), (3, Some("t: away")));
        question.begin();
        assert_eq!((ask("a"), question.trouble()), (Some("<a>".into()), None));
        assert_eq!(behind.find("b", |_| Err::<(), _>("odd".into())), None);
        assert_eq!(question.trouble().as_deref(), Some("t: b: odd"));
    }
}
