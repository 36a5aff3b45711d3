//! Encoding with the `tokenizers` crate, with the parts that octet does differently: the file's padding
//! and truncation are dropped, truncation happens on whole sequences before the one post-processing
//! step, and what is cut off is dropped at once (the crate would carry it along as overflow, which
//! post-processing of pairs multiplies).

use crate::Failure;
use tokenizers::{
    Encoding, ModelWrapper, PostProcessor, PostProcessorWrapper, Tokenizer, TruncationDirection,
};

pub struct Engine {
    /// Without post-processor: `encode*` then returns the bare sequence.
    tokenizer: Tokenizer,
    post_processor: Option<PostProcessorWrapper>,
    num_special_tokens_single: usize,
    num_special_tokens_pair: usize,
}

pub struct Request<'a> {
    pub first: &'a str,
    pub second: Option<&'a str>,
    pub max_tokens: usize,
    pub truncate_left: bool,
    pub add_special_tokens: bool,
    pub with_offsets: bool,
}

pub struct Encoded {
    pub tokens: Encoding,
    pub offsets: Option<Vec<u32>>,
    pub num_tokens_before_truncation: usize,
}

/// Some damaged files only fail when a text reaches the damaged part: words, digits, accents, scripts,
/// a four-byte character, a control character and one that no vocabulary has.
const PROBE: &str = "Hello, w\u{f6}rld! 1234 \u{4f60}\u{597d} \u{1f642}\u{200d}\t\u{1}\u{10fffd} don't";

impl Engine {
    pub fn from_json(json: &[u8], match_special_tokens: bool) -> Result<Self, Failure> {
        let mut tokenizer =
            Tokenizer::from_bytes(json).map_err(|e| Failure::Invalid(e.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|e| Failure::Invalid(e.to_string()))?;
        tokenizer.set_encode_special_tokens(!match_special_tokens);
        let post_processor = tokenizer.get_post_processor().cloned();
        tokenizer.with_post_processor(None::<PostProcessorWrapper>);
        // Dropout belongs to training; here the same text must always give the same ids.
        if let ModelWrapper::BPE(bpe) = tokenizer.get_model() {
            if bpe.dropout.is_some() {
                let mut bpe = bpe.clone();
                bpe.dropout = None;
                tokenizer.with_model(ModelWrapper::BPE(bpe));
            }
        }
        let added = |is_pair| post_processor.as_ref().map_or(0, |p| p.added_tokens(is_pair));
        let engine = Engine {
            num_special_tokens_single: added(false),
            num_special_tokens_pair: added(true),
            tokenizer,
            post_processor,
        };
        engine.probe()?;
        Ok(engine)
    }

    fn probe(&self) -> Result<(), Failure> {
        for second in [None, Some(PROBE)] {
            for with_offsets in [false, true] {
                self.encode(&Request {
                    first: PROBE,
                    second,
                    max_tokens: 0,
                    truncate_left: false,
                    add_special_tokens: true,
                    with_offsets,
                })?;
            }
        }
        Ok(())
    }

    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    pub fn encode(&self, request: &Request) -> Result<Encoded, Failure> {
        let num_special_tokens = match (request.add_special_tokens, request.second) {
            (false, _) => 0,
            (true, None) => self.num_special_tokens_single,
            (true, Some(_)) => self.num_special_tokens_pair,
        };
        if request.max_tokens != 0 && request.max_tokens < num_special_tokens {
            return Err(Failure::Invalid(format!(
                "max_tokens: {}, the special tokens alone are {num_special_tokens}",
                request.max_tokens
            )));
        }
        let mut first = self.sequence(request.first, request.with_offsets)?;
        let mut second = match request.second {
            Some(text) => Some(self.sequence(text, request.with_offsets)?),
            None => None,
        };
        let num_text_tokens = first.len() + second.as_ref().map_or(0, Encoding::len);
        if request.max_tokens != 0 {
            let room = request.max_tokens - num_special_tokens;
            let direction = if request.truncate_left {
                TruncationDirection::Left
            } else {
                TruncationDirection::Right
            };
            truncate(&mut first, second.as_mut(), room, direction);
        }
        let tokens = self.post_process(first, second, request.add_special_tokens)?;
        let offsets = request.with_offsets.then(|| {
            let pairs = tokens.get_offsets().iter();
            pairs.flat_map(|&(begin, end)| [begin as u32, end as u32]).collect()
        });
        Ok(Encoded {
            tokens,
            offsets,
            num_tokens_before_truncation: num_text_tokens + num_special_tokens,
        })
    }

    /// One text without special tokens. Offsets are bytes of `text`.
    fn sequence(&self, text: &str, with_offsets: bool) -> Result<Encoding, Failure> {
        let encoding = if with_offsets {
            self.tokenizer.encode(text, false)
        } else {
            self.tokenizer.encode_fast(text, false)
        };
        // The crate's messages can quote the token at fault, which is a piece of the text.
        encoding.map_err(|_| Failure::Internal("the library cannot encode this text".to_string()))
    }

    fn post_process(
        &self,
        first: Encoding,
        second: Option<Encoding>,
        add_special_tokens: bool,
    ) -> Result<Encoding, Failure> {
        match (&self.post_processor, second) {
            (Some(processor), second) => processor
                .process(first, second, add_special_tokens)
                .map_err(|_| Failure::Internal("post-processing failed".to_string())),
            (None, None) => Ok(first),
            (None, Some(mut second)) => {
                second.set_type_ids(vec![1; second.len()]);
                Ok(Encoding::merge([first, second], false))
            }
        }
    }
}

/// Cuts to `room` tokens in all, the longer text first, as transformers' `longest_first` does: once both
/// are down to half, the second keeps the odd token if it was at least as long, else the first.
fn truncate(
    first: &mut Encoding,
    second: Option<&mut Encoding>,
    room: usize,
    direction: TruncationDirection,
) {
    let (first_length, second_length) = (first.len(), second.as_ref().map_or(0, |e| e.len()));
    if first_length + second_length <= room {
        return;
    }
    let Some(second) = second else {
        return cut(first, room, direction);
    };
    let shorter = first_length.min(second_length).min(room / 2);
    if first_length <= second_length {
        cut(first, shorter, direction);
        cut(second, room - shorter, direction);
    } else {
        cut(first, room - shorter, direction);
        cut(second, shorter, direction);
    }
}

fn cut(encoding: &mut Encoding, length: usize, direction: TruncationDirection) {
    encoding.truncate(length, /*stride=*/ 0, direction);
    drop(encoding.take_overflowing());
}
