//! The system's PAM, loaded when it is asked for: nothing links libpam.
//!
//! Standard    Linux-PAM's pam_start(3), pam_start_confdir(3), pam_authenticate(3), pam_acct_mgmt(3), pam_get_item(3)
//! Invariants  1. the password is given to prompts that hide what is typed, the login to those that do not, nothing else
//!             2. the handle is ended on every way out   3. answers are malloc'ed, for libpam frees them
//! Failures    [`Outcome::Unavailable`] where libpam is missing or a module could not tell
//! Trust       libpam and its modules run in this process; login and password are hostile octets

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

/// What PAM made of a login and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Right, and the account may be used; the name PAM ended with.
    Yes(String),
    /// Unknown user or wrong password.
    No,
    /// The account is locked or has expired.
    Expired,
    /// PAM could not tell.
    Unavailable(String),
}

/// One question to PAM; it holds a password and so is never shown.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Name of the service, a file of /etc/pam.d.
    pub service: &'a str,
    /// Directory of services instead of /etc/pam.d; empty is the system's.
    pub directory: &'a str,
    /// Login.
    pub user: &'a str,
    /// Password.
    pub password: &'a [u8],
    /// Address of the client; empty is unknown.
    pub host: &'a str,
}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

type Talk = extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    talk: Talk,
    data: *mut c_void,
}

struct Secrets {
    user: CString,
    password: CString,
}

type Handle = *mut c_void;
type Start = unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut Handle) -> c_int;
type StartIn =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *const c_char, *mut Handle) -> c_int;
type Step = unsafe extern "C" fn(Handle, c_int) -> c_int;
type GetItem = unsafe extern "C" fn(Handle, c_int, *mut *const c_void) -> c_int;
type SetItem = unsafe extern "C" fn(Handle, c_int, *const c_void) -> c_int;

const SUCCESS: c_int = 0;
const CONV_ERR: c_int = 19;
const PROMPT_HIDDEN: c_int = 1;
const PROMPT_SHOWN: c_int = 2;
const ITEM_USER: c_int = 2;
const ITEM_RHOST: c_int = 4;
/// PAM_SILENT and PAM_DISALLOW_NULL_AUTHTOK.
const FLAGS: c_int = 0x8000 | 0x0001;

/// Longest list of prompts answered.
const PROMPTS_MAX: usize = 32;

extern "C" fn talk(count: c_int, messages: *mut *const Message, out: *mut *mut Response, data: *mut c_void) -> c_int {
    let Ok(count) = usize::try_from(count) else { return CONV_ERR };
    if count == 0 || count > PROMPTS_MAX || messages.is_null() || out.is_null() || data.is_null() {
        return CONV_ERR;
    }
    // SAFETY: `data` is the `Secrets` of `ask`, which outlives the handle; libpam gives `count` pointers to messages
    // (Linux-PAM: an array of pointers) and takes a malloc'ed array of `count` responses with malloc'ed texts.
    unsafe {
        let secrets = &*data.cast::<Secrets>();
        let responses = libc::calloc(count, size_of::<Response>()).cast::<Response>();
        if responses.is_null() {
            return CONV_ERR;
        }
        for i in 0..count {
            let message = *messages.add(i);
            let text = match if message.is_null() { 0 } else { (*message).style } {
                PROMPT_HIDDEN => libc::strdup(secrets.password.as_ptr()),
                PROMPT_SHOWN => libc::strdup(secrets.user.as_ptr()),
                _ => ptr::null_mut(),
            };
            (*responses.add(i)).text = text;
        }
        *out = responses;
    }
    SUCCESS
}

struct Library(*mut c_void);

impl Library {
    fn open() -> Result<Library, String> {
        // SAFETY: a constant name; loading runs the library's constructors, which is what is asked for.
        let handle = unsafe { libc::dlopen(c"libpam.so.0".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if handle.is_null() { Err("libpam.so.0 is not installed".into()) } else { Ok(Library(handle)) }
    }

    /// # Safety
    /// `T` is the type of the function of this name.
    unsafe fn function<T: Copy>(&self, name: &CStr) -> Result<T, String> {
        // SAFETY: a live handle and a terminated name.
        let found = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        if found.is_null() {
            return Err(format!("libpam has no {}", name.to_string_lossy()));
        }
        assert!(size_of::<T>() == size_of::<*mut c_void>());
        // SAFETY: the caller names a function pointer type, which has the size of a pointer; not null.
        Ok(unsafe { std::mem::transmute_copy::<*mut c_void, T>(&found) })
    }
}

/// Asks PAM for a login: authentication, then account.
pub fn ask(question: &Question<'_>) -> Outcome {
    // what holds NUL is no name and no password
    let (Ok(user), Ok(password)) = (CString::new(question.user), CString::new(question.password)) else {
        return Outcome::No;
    };
    if question.user.is_empty() || question.password.is_empty() {
        return Outcome::No;
    }
    let secrets = Secrets { user, password };
    converse(question, &secrets).unwrap_or_else(Outcome::Unavailable)
}

fn converse(question: &Question<'_>, secrets: &Secrets) -> Result<Outcome, String> {
    let c = |text: &str| CString::new(text).map_err(|_| "NUL in a name".to_string());
    let (service, directory, host) = (c(question.service)?, c(question.directory)?, c(question.host)?);
    let library = Library::open()?;
    let talking = Conversation { talk, data: ptr::from_ref(secrets).cast_mut().cast() };
    // SAFETY: the names and types are those of Linux-PAM's <security/pam_appl.h>. All strings, `talking` and `secrets` live
    // until pam_end, which is called once for a handle that was made; the library stays loaded.
    unsafe {
        let end: Step = library.function(c"pam_end")?;
        let authenticate: Step = library.function(c"pam_authenticate")?;
        let account: Step = library.function(c"pam_acct_mgmt")?;
        let get: GetItem = library.function(c"pam_get_item")?;
        let set: SetItem = library.function(c"pam_set_item")?;
        let mut handle: Handle = ptr::null_mut();
        let (name, login) = (service.as_ptr(), secrets.user.as_ptr());
        let started = if question.directory.is_empty() {
            let start: Start = library.function(c"pam_start")?;
            start(name, login, &raw const talking, &raw mut handle)
        } else {
            let start: StartIn = library.function(c"pam_start_confdir")?;
            start(name, login, &raw const talking, directory.as_ptr(), &raw mut handle)
        };
        if started != SUCCESS || handle.is_null() {
            return Err(format!("pam_start: {started}"));
        }
        if !question.host.is_empty() {
            set(handle, ITEM_RHOST, host.as_ptr().cast());
        }
        let mut code = authenticate(handle, FLAGS);
        if code == SUCCESS {
            code = account(handle, FLAGS);
        }
        let mut item: *const c_void = ptr::null();
        let named = get(handle, ITEM_USER, &raw mut item) == SUCCESS && !item.is_null();
        let user = if named { CStr::from_ptr(item.cast()).to_string_lossy().into_owned() } else { String::new() };
        end(handle, code);
        Ok(judge(code, user, question.user))
    }
}

fn judge(code: c_int, user: String, asked: &str) -> Outcome {
    match code {
        SUCCESS => Outcome::Yes(if user.is_empty() { asked.to_string() } else { user }),
        // PERM_DENIED, AUTH_ERR, USER_UNKNOWN, MAXTRIES
        6 | 7 | 10 | 11 => Outcome::No,
        // NEW_AUTHTOK_REQD, ACCT_EXPIRED
        12 | 13 => Outcome::Expired,
        code => Outcome::Unavailable(format!("PAM says {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_refusal_and_of_trouble() {
        let judged = |code| judge(code, "joe".into(), "JOE");
        assert_eq!(judged(0), Outcome::Yes("joe".into()));
        assert_eq!([judged(7), judged(10), judged(13)], [Outcome::No, Outcome::No, Outcome::Expired]);
        // AUTHINFO_UNAVAIL, SYSTEM_ERR: never "wrong password"
        assert!([9, 4, 28].into_iter().all(|c| matches!(judged(c), Outcome::Unavailable(_))));
        let odd = Question { service: "x", directory: "", user: "a\0b", password: b"x", host: "" };
        assert_eq!(ask(&odd), Outcome::No);
        assert_eq!(ask(&Question { user: "a", password: b"", ..odd }), Outcome::No);
    }
}
