//! The C ABI (octet_tokenizers.h) over `engine`. Every entry point catches panics: damaged files make
//! the `tokenizers` crate panic, and unwinding into C++ would be undefined.

mod engine;

use engine::{Encoded, Engine, Request};
use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::sync::Once;

const OK: i32 = 0;
const INVALID: i32 = 1;
const INTERNAL: i32 = 2;

pub enum Failure {
    Invalid(String),
    Internal(String),
}

#[repr(C)]
pub struct OctetError {
    message: *mut c_char,
    capacity: usize,
}

#[repr(C)]
pub struct OctetEncodeRequest {
    first: *const u8,
    first_bytes: usize,
    second: *const u8,
    second_bytes: usize,
    max_tokens: usize,
    is_pair: u8,
    truncate_left: u8,
    add_special_tokens: u8,
    with_offsets: u8,
}

#[repr(C)]
pub struct OctetEncodingView {
    ids: *const u32,
    type_ids: *const u32,
    offsets: *const u32,
    num_tokens: usize,
    num_tokens_before_truncation: usize,
    owner: *mut c_void,
}

/// What a caught panic may be reported as. Panic messages of string slicing quote the string, so where
/// a user's text is at work only the place is told.
#[derive(Clone, Copy)]
enum PanicReport {
    Message,
    PlaceOnly,
}

thread_local! {
    /// (place, message) of the last panic on this thread, left there by the hook.
    static LAST_PANIC: RefCell<(String, String)> = const { RefCell::new((String::new(), String::new())) };
}

/// The standard hook writes to stderr. This library is the only Rust code of the process, so the hook is
/// ours to replace.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_hook(Box::new(|info| {
            let place = info.location().map_or(String::new(), |at| {
                let file = at.file().rsplit('/').next().unwrap_or("");
                format!("{}:{}", file, at.line())
            });
            let payload = info.payload();
            let message = payload
                .downcast_ref::<&str>()
                .map(|s| s.to_string())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            LAST_PANIC.with(|last| *last.borrow_mut() = (place, message));
        }));
    });
}

/// Runs `body` and turns its failure or panic into a code and a message.
unsafe fn guarded(
    error: *mut OctetError,
    report: PanicReport,
    body: impl FnOnce() -> Result<(), Failure>,
) -> i32 {
    silence_panics();
    let (code, message) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return OK,
        Ok(Err(Failure::Invalid(message))) => (INVALID, message),
        Ok(Err(Failure::Internal(message))) => (INTERNAL, message),
        Err(payload) => {
            // A payload whose destructor panics must not end the process either.
            std::mem::forget(payload);
            let (place, message) = LAST_PANIC.with(|last| last.take());
            match report {
                PanicReport::Message => (INTERNAL, format!("the library panicked: {message}")),
                PanicReport::PlaceOnly => (INTERNAL, format!("the library panicked at {place}")),
            }
        }
    };
    write_message(error, &message);
    code
}

unsafe fn write_message(error: *mut OctetError, message: &str) {
    let Some(error) = error.as_ref() else { return };
    if error.message.is_null() || error.capacity == 0 {
        return;
    }
    let mut length = message.len().min(error.capacity - 1);
    while !message.is_char_boundary(length) {
        length -= 1;
    }
    std::ptr::copy_nonoverlapping(message.as_ptr(), error.message.cast::<u8>(), length);
    *error.message.add(length) = 0;
}

unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}

unsafe fn text<'a>(data: *const u8, size: usize) -> Result<&'a str, Failure> {
    if size >= u32::MAX as usize {
        return Err(Failure::Invalid(format!("{size} bytes, limit {}", u32::MAX - 1)));
    }
    std::str::from_utf8(bytes(data, size))
        .map_err(|e| Failure::Invalid(format!("not valid UTF-8 at byte {}", e.valid_up_to())))
}

/// # Safety
/// As octet_tokenizers.h says.
#[no_mangle]
pub unsafe extern "C" fn octet_tokenizer_new(
    json: *const u8,
    json_bytes: usize,
    match_special_tokens: u8,
    tokenizer: *mut *mut Engine,
    error: *mut OctetError,
) -> i32 {
    guarded(error, PanicReport::Message, || {
        let engine = Engine::from_json(bytes(json, json_bytes), match_special_tokens != 0)?;
        *tokenizer = Box::into_raw(Box::new(engine));
        Ok(())
    })
}

/// # Safety
/// As octet_tokenizers.h says.
#[no_mangle]
pub unsafe extern "C" fn octet_tokenizer_free(tokenizer: *mut Engine) {
    if !tokenizer.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(tokenizer))));
    }
}

/// # Safety
/// As octet_tokenizers.h says.
#[no_mangle]
pub unsafe extern "C" fn octet_tokenizer_encode(
    tokenizer: *const Engine,
    request: *const OctetEncodeRequest,
    view: *mut OctetEncodingView,
    error: *mut OctetError,
) -> i32 {
    guarded(error, PanicReport::PlaceOnly, || {
        let raw = &*request;
        let second = match raw.is_pair {
            0 => None,
            _ => Some(text(raw.second, raw.second_bytes)?),
        };
        let encoded = (*tokenizer).encode(&Request {
            first: text(raw.first, raw.first_bytes)?,
            second,
            max_tokens: raw.max_tokens,
            truncate_left: raw.truncate_left != 0,
            add_special_tokens: raw.add_special_tokens != 0,
            with_offsets: raw.with_offsets != 0,
        })?;
        let encoded = Box::new(encoded);
        *view = OctetEncodingView {
            ids: encoded.tokens.get_ids().as_ptr(),
            type_ids: encoded.tokens.get_type_ids().as_ptr(),
            offsets: encoded.offsets.as_ref().map_or(std::ptr::null(), |o| o.as_ptr()),
            num_tokens: encoded.tokens.get_ids().len(),
            num_tokens_before_truncation: encoded.num_tokens_before_truncation,
            owner: Box::into_raw(encoded).cast(),
        };
        Ok(())
    })
}

/// # Safety
/// As octet_tokenizers.h says.
#[no_mangle]
pub unsafe extern "C" fn octet_encoding_free(owner: *mut c_void) {
    if !owner.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(owner.cast::<Encoded>()))));
    }
}

/// # Safety
/// As octet_tokenizers.h says.
#[no_mangle]
pub unsafe extern "C" fn octet_tokenizer_token_to_id(
    tokenizer: *const Engine,
    token: *const u8,
    token_bytes: usize,
) -> i64 {
    let mut id = -1;
    guarded(std::ptr::null_mut(), PanicReport::PlaceOnly, || {
        if let Some(found) = (*tokenizer).token_to_id(text(token, token_bytes)?) {
            id = i64::from(found);
        }
        Ok(())
    });
    id
}
