//! Commands that care for the data and for Plimsoll itself: storage, log, doctor.

use plimsoll_core::{
    config::wire::ConfigView,
    log::{LogEntry, LogLevel},
};

use super::{blocking, done};
use crate::{
    api::{
        DeleteRequest, DoctorReport, Done, Fault, FaultCode, FilePath, Folder, JobStarted,
        LogRequest, StorageReport, Written,
    },
    app::App,
    doctor::{self, Patient, bundle},
    logging::{self, Wanted},
    storage::{
        backup,
        pending::Pending,
        report::{available_bytes, folder_bytes, kinds},
    },
};

/// Entries of the log that are answered at once.
const MAX_LOG: u32 = 1000;

impl App {
    pub(super) async fn storage(&self) -> Result<StorageReport, Fault> {
        let config = self.config.config();
        let kinds = kinds(&self.reader, &config, self.now_ms()).await?;
        let data = self.home.data.clone();
        let (total_bytes, disk_available_bytes) =
            blocking(move || (folder_bytes(&data), available_bytes(&data))).await?;
        let set_aside = self.recording.borrow().set_aside.clone();
        Ok(StorageReport {
            data_dir: self.home.data.display().to_string(),
            total_bytes,
            limit_bytes: config.history.max_mib << 20,
            disk_available_bytes,
            kinds,
            set_aside: set_aside.iter().map(|path| path.display().to_string()).collect(),
        })
    }

    pub(super) fn storage_backup(&self, folder: Folder) -> Result<JobStarted, Fault> {
        let to = Self::absolute(&folder.path)?;
        let source = self.backup_source();
        self.jobs.start(format!("Backup to {}", to.display()), |job| backup::copy(job, source, to))
    }

    pub(super) async fn storage_restore(&self, folder: Folder) -> Result<Done, Fault> {
        let from = Self::absolute(&folder.path)?;
        let manifest = backup::check(&from, self.home.simulated).await?;
        let data = self.home.data.clone();
        blocking(move || Pending::Restore { from }.write(&data)).await??;
        let at = jiff::Timestamp::from_millisecond(manifest.at_ms).unwrap_or_default();
        Ok(done(format!(
            "The backup of {} is sound. It takes its place when Plimsoll starts again; what is \
             recorded until then is set aside, not deleted.",
            at.strftime("%Y-%m-%d %H:%M UTC")
        )))
    }

    pub(super) fn storage_move(&self, folder: Folder) -> Result<JobStarted, Fault> {
        let to = Self::absolute(&folder.path)?;
        let source = self.backup_source();
        self.jobs.start(format!("Move to {}", to.display()), |job| async move {
            let data = source.data.clone();
            backup::copy(job, source, to.clone()).await?;
            let into = to.clone();
            blocking(move || Pending::Move { to: into }.write(&data)).await??;
            Ok(format!(
                "The data was copied to {}. Plimsoll uses it there when it starts again, with what \
                 is recorded until then.",
                to.display()
            ))
        })
    }

    pub(super) async fn storage_delete(&self, request: DeleteRequest) -> Result<Done, Fault> {
        let history = self.history.read().await;
        let Some(history) = history.as_ref() else {
            return Err(Fault::new(FaultCode::Unavailable, "Plimsoll is stopping."));
        };
        if request.before_ms.is_some_and(|before| before > self.now_ms()) {
            return Err(Fault::new(FaultCode::Invalid, "That moment has not come yet.")
                .hint("Leave before_ms away to delete the whole history."));
        }
        // The history marks it itself.
        history.delete_before(request.before_ms).await?;
        let what = match request.before_ms {
            Some(before) => {
                let at = jiff::Timestamp::from_millisecond(before).unwrap_or_default();
                format!("The history before {} was deleted", at.strftime("%Y-%m-%d %H:%M UTC"))
            }
            None => "The whole history was deleted".into(),
        };
        tracing::warn!("{what}");
        Ok(done(format!("{what}. The file shrinks within the next minutes.")))
    }

    fn backup_source(&self) -> backup::Source {
        backup::Source {
            data: self.home.data.clone(),
            config: self.home.config.clone(),
            simulated: self.home.simulated,
            at_ms: self.now_ms(),
        }
    }

    /// Warnings and errors come from the history, where they outlive the file; the rest from the
    /// file.
    pub(super) async fn log(&self, request: LogRequest) -> Result<Vec<LogEntry>, Fault> {
        if !(1..=MAX_LOG).contains(&request.limit) {
            return Err(Fault::new(
                FaultCode::Invalid,
                format!("limit is a whole number, 1 to {MAX_LOG}. Found {}.", request.limit),
            ));
        }
        // What was said a moment ago is in it, too.
        let logging = self.logging.clone();
        blocking(move || logging.flush()).await?;
        let LogRequest { level, contains, before_ms, limit } = request;
        if level <= LogLevel::Warn {
            return Ok(self.reader.log(level, &contains, before_ms, limit).await?);
        }
        let folder = self.home.data.join("logs");
        let wanted = Wanted { level, contains, before_ms, limit: limit as usize };
        let found = blocking(move || logging::tail(&folder, &wanted)).await?;
        found.map_err(|error| {
            Fault::new(FaultCode::Unavailable, format!("The log cannot be read: {error}."))
        })
    }

    pub(super) async fn doctor(&self) -> Result<DoctorReport, Fault> {
        let patient = self.patient().await;
        blocking(move || doctor::examine(&patient)).await
    }

    pub(super) async fn doctor_bundle(&self, file: FilePath) -> Result<Written, Fault> {
        let path = Self::absolute(&file.path)?;
        let patient = self.patient().await;
        let view: ConfigView = (*self.config.view()).clone();
        let extra = vec![
            ("about.json".to_owned(), bundle::json(&self.about())),
            ("settings.json".to_owned(), bundle::json(&view.settings)),
            ("alerts.json".to_owned(), bundle::json(&self.alerts.list())),
        ];
        let at_ms = self.now_ms();
        blocking(move || bundle::write(&patient, extra, &path, at_ms)).await?
    }

    async fn patient(&self) -> Patient {
        let view = self.config.view();
        let status = self.status().await;
        Patient {
            data: self.home.data.clone(),
            config_path: self.home.config.clone(),
            config: (*self.config.config()).clone(),
            problems: view.problems.clone(),
            sources: status.sources.clone(),
            status: Some(status),
        }
    }
}
