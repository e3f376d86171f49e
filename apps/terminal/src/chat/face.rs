//! The two faces of a chat: a terminal with a line editor, or plain lines in and out.

use std::io::{self, IsTerminal, Stdout};
use std::thread;

use crossterm::event::{self, KeyEventKind};
use tokio::sync::mpsc;

use super::editor::{Decision, Editor};
use super::screen::Screen;
use super::status::Status;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::{self, TextError};

/// Keys that were typed and are not handled yet. Past it the terminal's own buffer holds them.
const KEYS_MAX: usize = 64;

/// What the person did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Nothing that concerns the chat.
    Nothing,
    /// The line being typed changed.
    Typed,
    /// A line is done.
    Line(String),
    /// The terminal has so many columns now.
    Resized(usize),
    /// They leave.
    Quit,
}

/// A face.
pub(super) enum Face {
    /// A terminal.
    Terminal {
        screen: Screen<Stdout>,
        editor: Editor,
        keys: mpsc::Receiver<io::Result<event::Event>>,
    },
    /// Plain lines.
    Lines { output: Output, lines: mpsc::Receiver<Result<String, TextError>>, status: String },
}

impl Face {
    /// Opens the face that this process's input and output allow.
    pub(super) fn open(output: Output, prompt: &str) -> io::Result<Self> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        if output.json || is_dumb || !is_terminal {
            return Ok(Self::Lines { output, lines: text::lines(), status: String::new() });
        }
        let screen = Screen::take_over(io::stdout(), output.style, prompt)?;
        Ok(Self::Terminal { screen, editor: Editor::default(), keys: read_keys() })
    }

    /// Prints lines of the conversation.
    pub(super) fn print<L: AsRef<str>>(&mut self, lines: &[L]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        match self {
            Self::Terminal { screen, editor, .. } => {
                screen.print(lines.iter().map(AsRef::as_ref), editor)
            }
            Self::Lines { output, .. } => output.people(lines),
        }
    }

    /// Shows a status; plain lines print one that changed.
    pub(super) fn set_status(&mut self, status: Status) -> io::Result<()> {
        match self {
            Self::Terminal { screen, editor, .. } => {
                if screen.set_status(status.row()) {
                    screen.draw(editor)?;
                }
                Ok(())
            }
            Self::Lines { output, status: shown, .. } => {
                let line = status.connection_line();
                if *shown == line {
                    return Ok(());
                }
                shown.clone_from(&line);
                if line.is_empty() { Ok(()) } else { output.people([format!("· {line}")]) }
            }
        }
    }

    /// Sets what stands before the line being typed.
    pub(super) fn set_prompt(&mut self, prompt: &str) {
        if let Self::Terminal { screen, .. } = self {
            screen.set_prompt(prompt);
        }
    }

    /// What is typed so far.
    pub(super) fn typed(&self) -> &str {
        match self {
            Self::Terminal { editor, .. } => editor.text(),
            Self::Lines { .. } => "",
        }
    }

    /// Puts a text on the line being typed.
    pub(super) fn type_in(&mut self, text: &str) {
        if let Self::Terminal { editor, .. } = self {
            editor.replace(text);
        }
    }

    /// Waits for what the person does next.
    pub(super) async fn next(&mut self) -> Result<Input, Failure> {
        match self {
            Self::Terminal { screen, editor, keys } => match keys.recv().await {
                Some(event) => Ok(handle(screen, editor, event?)?),
                None => Ok(Input::Quit),
            },
            Self::Lines { lines, .. } => match lines.recv().await {
                Some(line) => Ok(Input::Line(line?)),
                None => Ok(Input::Quit),
            },
        }
    }
}

fn handle(
    screen: &mut Screen<Stdout>,
    editor: &mut Editor,
    event: event::Event,
) -> io::Result<Input> {
    let mut resized = None;
    let decision = match event {
        event::Event::Key(key) if key.kind != KeyEventKind::Release => editor.handle_key(key),
        event::Event::Paste(text) => editor.insert(&text),
        event::Event::Resize(columns, _) => {
            resized = Some(screen.resize(columns));
            Decision::Redraw
        }
        _ => Decision::Nothing,
    };
    if decision != Decision::Nothing {
        screen.draw(editor)?;
    }
    if let Some(columns) = resized {
        return Ok(Input::Resized(columns));
    }
    Ok(match decision {
        Decision::Nothing | Decision::Moved | Decision::Redraw => Input::Nothing,
        Decision::Typed => Input::Typed,
        Decision::Submitted(line) => Input::Line(line),
        Decision::Quit => Input::Quit,
    })
}

/// Reads keys on a thread of its own, since a terminal can only be waited for. It ends with the
/// process.
fn read_keys() -> mpsc::Receiver<io::Result<event::Event>> {
    let (sender, keys) = mpsc::channel(KEYS_MAX);
    thread::spawn(move || {
        loop {
            let event = event::read();
            let is_over = event.is_err();
            if sender.blocking_send(event).is_err() || is_over {
                return;
            }
        }
    });
    keys
}
