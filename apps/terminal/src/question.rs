//! Asking the person at the terminal. The keyboard is read by a thread of its own, so that the
//! connection lives on meanwhile.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// Whether there is somebody to ask.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a line; without its end.
pub(crate) async fn line(question: &str) -> Result<Zeroizing<String>, Failure> {
    {
        // The question is none of the output, which may go to a file.
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question}")?;
        stderr.flush()?;
    }
    let read = tokio::task::spawn_blocking(|| {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line)?;
        let end = line.trim_end_matches(['\r', '\n']).len();
        line.truncate(end);
        Ok::<_, io::Error>(line)
    });
    let read =
        read.await.map_err(|error| Failure::new(Exit::Local, "SYSTEM", error.to_string()))?;
    Ok(read?)
}

/// Asks for a yes, spelled out.
pub(crate) async fn yes(question: &str) -> Result<bool, Failure> {
    loop {
        let answer = line(&format!("{question} (yes/no) ")).await?;
        match answer.trim().to_lowercase().as_str() {
            "yes" => return Ok(true),
            // The end of the input is a no, too.
            "no" | "" => return Ok(false),
            _ => {}
        }
    }
}

/// Asks for a yes before something that is not to be done by accident; `assumed` is the person's `--yes`.
/// Without it and without somebody to ask nothing is done.
pub(crate) async fn must_confirm(question: &str, assumed: bool) -> Result<(), Failure> {
    if assumed {
        return Ok(());
    }
    if !can_ask() {
        return Err(Failure::usage(format!(
            "{question} There is no terminal to ask on: say --yes if you mean it"
        )));
    }
    if yes(question).await? { Ok(()) } else { Err(declined()) }
}

/// The person said no.
pub(crate) fn declined() -> Failure {
    Failure::new(Exit::Refused, "DECLINED", "nothing was done")
}
