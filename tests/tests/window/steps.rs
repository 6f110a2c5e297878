//! What a person does on every page.

use std::time::Duration;

use anyhow::Result;
use plimsoll_tests::{desk::shots, page::Page, wait};
use thirtyfour::By;

/// Opens a page by its place in the rail. A link's name may go on with what its count says:
/// `Services, 2 not well`.
pub async fn go(page: &Page, name: &str) -> Result<()> {
    page.click(&format!("nav a[aria-label^='{name}']")).await?;
    page.find(&format!("main[aria-label='{name}']")).await?;
    page.find(&format!("nav a[aria-label^='{name}'][aria-current=page]")).await.map(drop)
}

/// The window with its first live values on the Overview. At the first start Plimsoll says what it
/// found before; one button leads on.
pub async fn settled(page: &Page) -> Result<()> {
    let shown = wait::until("values on the Overview", || async {
        if page.is_there("main .btn.primary").await? {
            page.click("main .btn.primary").await?;
        }
        let shown = "return document.querySelector('a.meter [data-testid=instrument-value]')?.textContent ?? ''";
        let shown = page.script(shown).await?;
        let digits = shown.as_str().is_some_and(|text| text.contains(|c: char| c.is_ascii_digit()));
        Ok(digits.then_some(()))
    })
    .await;
    match shown {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(format!("the page reads {:?}", page.reads().await?))),
    }
}

/// The instrument of that title, e.g. `RAM`.
pub fn meter(title: &str) -> String {
    format!("a.meter[data-testid='instrument-{title}']")
}

/// Types a value into the field of a setting.
pub async fn set(page: &Page, key: &str, text: &str) -> Result<()> {
    let field = format!("//*[@role='group'][.//*[@class][normalize-space(text())='{key}']]//input");
    wait::until(key, || async {
        let input = page.driver.find(By::XPath(&*field)).await?;
        input.scroll_into_view().await?;
        input.click().await?;
        input.send_keys(thirtyfour::Key::Control + "a").await?;
        input.send_keys(text).await?;
        Ok(Some(()))
    })
    .await
}

/// A picture of what the test has before it, where pictures were asked for.
pub async fn shot(page: &Page, name: &str) -> Result<()> {
    let Some(folder) = shots() else { return Ok(()) };
    page.live_for(Duration::from_secs(5)).await;
    page.picture(&folder.join(format!("{name}.png"))).await
}
