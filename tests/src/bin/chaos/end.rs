//! How a run ends without success: its exit code, and what is printed.

/// Why a run ended, and the exit code that says so.
#[derive(Debug)]
pub(crate) struct End {
    pub code: u8,
    text: String,
}

impl End {
    /// Something that the run needs failed, or too little happened.
    pub(crate) fn failed(text: impl Into<String>) -> End {
        End { code: 1, text: format!("chaos.sh: {}", text.into()) }
    }

    /// The arguments make no sense.
    pub(crate) fn usage(text: impl Into<String>) -> End {
        End { code: 2, text: format!("chaos.sh: {} (see chaos.sh --help)", text.into()) }
    }

    /// An end with a sentence of its own.
    pub(crate) fn with(code: u8, text: impl Into<String>) -> End {
        End { code, text: text.into() }
    }

    /// The reason was printed already.
    pub(crate) fn already_printed() -> End {
        End { code: 1, text: String::new() }
    }

    pub(crate) fn print(&self) {
        if !self.text.is_empty() {
            eprintln!("{}", self.text);
        }
    }
}
