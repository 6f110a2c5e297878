//! The page in the window or in a browser, by what a person sees of it.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use thirtyfour::{By, Key, WebDriver, WebElement};

use crate::{desk::shots, wait};

/// As WebDriver names the keys that write nothing.
pub const ENTER: &str = "\u{e007}";
pub const CONTROL: &str = "\u{e009}";

#[derive(Clone, Debug)]
pub struct Page {
    pub driver: WebDriver,
}

// === impl Page ===

impl Page {
    pub fn new(driver: WebDriver) -> Self {
        Self { driver }
    }

    /// Waits for an element.
    pub async fn find(&self, css: &str) -> Result<WebElement> {
        let found =
            wait::until(css, || async { Ok(self.driver.find(By::Css(css)).await.ok()) }).await;
        match found {
            Ok(element) => Ok(element),
            Err(error) => Err(error.context(self.seen().await)),
        }
    }

    /// What a person would see, for the message of a test that fails.
    async fn seen(&self) -> String {
        if let Some(folder) = shots() {
            // The words below say enough where the picture cannot be made.
            let _ = self.picture(&folder.join("failed.png")).await;
        }
        match self.reads().await {
            // Nothing at all: then its program did not start, and says why when it is asked for again.
            Ok(text) if text.is_empty() => {
                let why = self
                    .script(
                        "const program = document.querySelector('script[type=module]');
                         if (program === null) return document.documentElement.outerHTML;
                         const said = [];
                         const note = (e) => said.push(String(e) + ' ' + (e && e.stack));
                         addEventListener('error', (e) => note(e.error ?? e.message));
                         addEventListener('unhandledrejection', (e) => note(e.reason));
                         await import(program.src + '?again').catch(note);
                         await new Promise((done) => setTimeout(done, 500));
                         return said;",
                    )
                    .await;
                format!("the page is empty: {why:?}")
            }
            Ok(text) => format!("the page reads {text:?}"),
            Err(error) => format!("the page cannot be read: {error:#}"),
        }
    }

    pub async fn is_there(&self, css: &str) -> Result<bool> {
        Ok(!self.driver.find_all(By::Css(css)).await?.is_empty())
    }

    /// Waits for the element that carries this `data-testid`.
    pub async fn part(&self, id: &str) -> Result<WebElement> {
        self.find(&test_id(id)).await
    }

    /// Text of that element once it is as it should be.
    pub async fn text_when(&self, css: &str, good: impl Fn(&str) -> bool) -> Result<String> {
        let last = std::sync::Mutex::new(String::new());
        let found = wait::until(css, || async {
            // As it is laid out: the driver's own idea of text leaves out what may be cut by an ellipsis.
            let text = self.driver.find(By::Css(css)).await?.prop("innerText").await?;
            let text = text.unwrap_or_default();
            if good(&text) {
                return Ok(Some(text));
            }
            *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = text;
            Ok(None)
        })
        .await;
        found.with_context(|| format!("it says {last:?}"))
    }

    /// Clicks what is there at that moment: a list that is drawn anew must not be held.
    pub async fn click(&self, css: &str) -> Result<()> {
        wait::until(css, || async {
            let element = self.driver.find(By::Css(css)).await?;
            element.scroll_into_view().await?;
            Ok(Some(element.click().await?))
        })
        .await
    }

    /// Clicks the button or link that carries exactly this text or accessible name.
    pub async fn press(&self, name: &str) -> Result<()> {
        self.click_xpath(&format!(
            "//*[self::button or self::a or @role='button' or @role='tab' or @role='menuitem']\
             [normalize-space(.)={0} or @aria-label={0}]",
            quoted(name)
        ))
        .await
    }

    pub async fn click_xpath(&self, xpath: &str) -> Result<()> {
        wait::until(xpath, || async {
            let element = self.driver.find(By::XPath(xpath)).await?;
            element.scroll_into_view().await?;
            // A click on a button that is not ready yet is lost without a word.
            if !element.is_enabled().await? {
                return Ok(None);
            }
            Ok(Some(element.click().await?))
        })
        .await
    }

    /// Takes out what a field holds and types something else.
    pub async fn fill(&self, css: &str, text: &str) -> Result<()> {
        self.type_at(css, &format!("{CONTROL}a")).await?;
        self.type_at(css, text).await
    }

    /// Types into what is there at that moment.
    pub async fn type_at(&self, css: &str, keys: &str) -> Result<()> {
        wait::until(css, || async {
            let field = self.driver.find(By::Css(css)).await?;
            field.scroll_into_view().await?;
            Ok(Some(field.send_keys(keys).await?))
        })
        .await
    }

    /// Presses keys wherever the focus is.
    pub async fn keys(&self, keys: &str) -> Result<()> {
        Ok(self.driver.action_chain().send_keys(keys).perform().await?)
    }

    /// Presses a key while Control is held.
    pub async fn control(&self, key: char) -> Result<()> {
        let held = self.driver.action_chain().key_down(Key::Control).key_down(key);
        Ok(held.key_up(key).key_up(Key::Control).perform().await?)
    }

    /// The text of the whole page, as a person reads it.
    pub async fn reads(&self) -> Result<String> {
        Ok(self.driver.find(By::Css("body")).await?.prop("innerText").await?.unwrap_or_default())
    }

    /// Waits until the page reads so.
    pub async fn says(&self, words: &str) -> Result<()> {
        self.text_when("body", |text| text.contains(words)).await.map(drop)
    }

    pub async fn says_not(&self, words: &str) -> Result<()> {
        self.text_when("body", |text| !text.contains(words)).await.map(drop)
    }

    pub async fn script(&self, body: &str) -> Result<Value> {
        Ok(self.driver.execute(body, Vec::new()).await?.json().clone())
    }

    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        self.driver.set_window_rect(0, 0, width, height).await?;
        wait::until("the window to take its size", || async {
            let inner = self.script("return [innerWidth, innerHeight]").await?;
            Ok((inner[0].as_u64() == Some(u64::from(width))).then_some(()))
        })
        .await
    }

    pub async fn picture(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        self.driver.screenshot(path).await?;
        let size = std::fs::metadata(path)?.len();
        ensure!(size > 2_000, "{} holds {size} bytes: it shows nothing", path.display());
        Ok(())
    }

    /// Lets the page live on for a moment, where time itself is what a picture needs.
    pub async fn live_for(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    pub async fn close(self) -> Result<()> {
        Ok(self.driver.quit().await?)
    }
}

pub fn test_id(id: &str) -> String {
    format!("[data-testid=\"{id}\"]")
}

/// A text inside an XPath. XPath has no escapes; none of ours holds both kinds of quotes.
fn quoted(text: &str) -> String {
    if text.contains('\'') { format!("\"{text}\"") } else { format!("'{text}'") }
}
