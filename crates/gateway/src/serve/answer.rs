//! The body of an answer, and all that a request holds until it ends: the permit travels
//! inside it. (One that ended with the answer's head would limit nothing: a stream of
//! tokens holds the GPU for minutes.)

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::{consult::Together, heard::Heard, passing::Passing, progress::Progress};

/// The body of an answer.
pub struct Answer {
    what: What,
    /// Told when the client's turn comes again.
    progress: Option<Arc<Progress>>,
    /// It is whole as it stands: see [`Answer::is_sound`].
    sound: bool,
}

enum What {
    Whole(Option<Bytes>),
    Passing(Box<Passing>),
    /// Of several models.
    Together(Box<Together>),
    /// That others hear, too.
    Heard(Box<Heard>),
}

// === impl Answer ===

impl Answer {
    pub fn whole(bytes: Bytes) -> Self {
        Self {
            what: What::Whole((!bytes.is_empty()).then_some(bytes)),
            progress: None,
            sound: false,
        }
    }

    pub fn passing(passing: Passing) -> Self {
        Self { what: What::Passing(Box::new(passing)), progress: None, sound: false }
    }

    pub fn together(together: Together) -> Self {
        Self { what: What::Together(Box::new(together)), progress: None, sound: false }
    }

    pub fn heard(heard: Heard) -> Self {
        Self { what: What::Heard(Box::new(heard)), progress: None, sound: false }
    }

    #[must_use]
    pub fn sound(mut self, sound: bool) -> Self {
        self.sound = sound;
        self
    }

    /// Nothing is missing in it, and it tells of no error, as far as it has been passed on:
    /// to be asked at its end.
    pub fn is_sound(&self) -> bool {
        match &self.what {
            What::Passing(passing) => passing.is_sound(),
            _ => self.sound,
        }
    }

    /// Its client has left, and others hear it to its end.
    pub fn client_left(&mut self) {
        if let What::Passing(passing) = &mut self.what {
            passing.client_left();
        }
    }

    /// Tells the connection when this answer has been given.
    pub fn on(&mut self, progress: Arc<Progress>) {
        self.progress = Some(progress);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.rests();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.get_mut().what {
            What::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            What::Passing(passing) => {
                passing.poll(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
            What::Together(together) => {
                together.poll(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
            What::Heard(heard) => {
                heard.poll(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.what {
            What::Whole(bytes) => bytes.is_none(),
            What::Passing(passing) => passing.is_over(),
            What::Together(together) => together.is_over(),
            What::Heard(heard) => heard.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.what {
            What::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            What::Passing(passing) => match passing.size() {
                Some(size) => SizeHint::with_exact(size),
                None => SizeHint::default(),
            },
            What::Together(_) | What::Heard(_) => SizeHint::default(),
        }
    }
}
