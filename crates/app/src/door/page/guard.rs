//! What a browser may ask for, and as whom.

use std::path::Path;

use plimsoll_core::traffic::Scope;

use crate::{
    api::{Command, Fault, FaultCode},
    config_handle::BROWSER,
};

/// The command as a browser's. Who says how a change was made is the door and not the
/// browser: what it may not change is refused where the change is made.
pub fn of_a_browser(mut command: Command) -> Result<Command, Fault> {
    let by = match &mut command {
        Command::PageLink(_) => {
            return Err(Fault::new(
                FaultCode::Denied,
                "The page gives no links to itself: whoever is in would let others in.",
            )
            .hint("`plimsoll link` gives one, in a terminal of the person whose Plimsoll it is."));
        }
        Command::ServiceTest(test)
            if !test.key_file.trim().is_empty() || !test.ca_file.trim().is_empty() =>
        {
            return Err(Fault::new(
                FaultCode::Denied,
                "A browser may not name a file whose content is sent as a key, or decides who is \
                 believed.",
            )
            .hint(
                "Try it without such a file, or in Plimsoll's own window. For a service that is \
                 configured already: `plimsoll services test ID` in a terminal.",
            ));
        }
        // What was kept decides at the next start what is in force where the file is broken, and
        // what can be gone back to: with a folder of a stranger's making programs would come in.
        Command::StorageRestore(_) | Command::StorageMove(_) => {
            return Err(Fault::new(
                FaultCode::Denied,
                "A browser may not say which folder the data is taken from or goes to.",
            )
            .hint(
                "Restore and move it in Plimsoll's own window, or with `plimsoll storage` in a \
                 terminal.",
            ));
        }
        // Such a key would outlive the browser's cookie, and may what no browser may.
        Command::KeyAdd(spec) if spec.scopes.contains(&Scope::Admin) => return Err(no_admin()),
        Command::KeyChange(change) if change.spec.scopes.contains(&Scope::Admin) => {
            return Err(no_admin());
        }
        // What others write to their models is nobody's who came to hold the cookie. To end it
        // is always well.
        Command::GatewayBodies(ask) if ask.minutes > 0 => {
            return Err(Fault::new(
                FaultCode::Denied,
                "A browser may not begin to keep what clients send and get.",
            )
            .hint("Begin it in Plimsoll's own window. A browser may end it."));
        }
        // What it exports may bear names of others' making: it becomes no file that something
        // reads at a login, and takes no file's place.
        Command::HistoryExport(export) => {
            fresh(&export.path, &[".csv", ".jsonl"])?;
            return Ok(command);
        }
        Command::DoctorBundle(file) => {
            fresh(&file.path, &[".tar.gz", ".tgz"])?;
            return Ok(command);
        }
        Command::ConfigPreview(edit) | Command::ConfigApply(edit) => &mut edit.by,
        Command::ConfigRollback(request) | Command::ConfigUndo(request) => &mut request.by,
        Command::ServiceAdd(add) => &mut add.by,
        Command::ServiceRemove(remove) => &mut remove.by,
        _ => return Ok(command),
    };
    BROWSER.clone_into(by);
    Ok(command)
}

fn no_admin() -> Fault {
    Fault::new(FaultCode::Denied, "A browser may not give a key the scope admin.").hint(
        "Give it in Plimsoll's own window, or with `plimsoll keys add` in a terminal. Any other \
         key can be made here.",
    )
}

/// A path at which a browser may have a file written.
fn fresh(path: &str, endings: &[&str]) -> Result<(), Fault> {
    let path = Path::new(path.trim());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |ending: &&str| name.len() > ending.len() && name.ends_with(*ending);
    let denied = |message: String| {
        Fault::new(FaultCode::Denied, message).hint(
            "Name a new file with that ending, or write it from Plimsoll's own window or a terminal.",
        )
    };
    if name.starts_with('.') || !endings.iter().any(plain) {
        let endings = endings.join(" or ");
        return Err(denied(format!("A browser may have files written that end in {endings}.")));
    }
    // A link that leads nowhere counts, too.
    if path.symlink_metadata().is_ok() {
        return Err(denied(format!("{} exists already.", path.display())));
    }
    Ok(())
}
