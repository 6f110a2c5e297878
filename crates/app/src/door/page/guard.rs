//! What a browser may ask for, and as whom.

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
        Command::ServiceTest(test) if !test.key_file.trim().is_empty() => {
            return Err(Fault::new(
                FaultCode::Denied,
                "A browser may not name a file whose content is sent as a key.",
            )
            .hint(
                "Try it without a key, or in Plimsoll's own window. For a service that is \
                 configured already: `plimsoll services test ID` in a terminal.",
            ));
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
