//! The warm worker process that runs the models.
//!
//! The appliance never runs a network itself. A child process of the same binary loads the model
//! package once and then answers one study after the other, so that a crash, a runaway allocation
//! or an endless loop over foreign images ends in a reason instead of a dead appliance.
//!
//! Both sides talk in lines of JSON over the child's standard input and output ([`wire`]).

mod serve;
mod wire;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use models::findings::{Fault, ModelIdentity, Reason, StudyIdentity};
use models::mr::{Contrast, Evidence};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::limits::{ANALYSIS_DEADLINE, MAX_ANSWER_BYTES, WORKER_START};
use wire::{Hello, Progress, Request};

pub use models::run::Answer;
pub use serve::serve;

/// Whose study it is, by its headers: what is left to say where the analysis itself failed.
pub type Whose = (StudyIdentity, Evidence);

/// How the worker is started.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// The `sialoscope` binary.
    pub program: PathBuf,
    /// Folder of the model package.
    pub package: PathBuf,
    /// Whoever must have signed it; anybody where there are none.
    pub keys: Vec<String>,
    /// Threads of the inference.
    pub threads: usize,
    /// Longest time for one study.
    pub longest: Duration,
}

impl WorkerSettings {
    /// The running binary, all cores, the default time limit.
    ///
    /// # Errors
    /// The path of the running binary is unknown.
    pub fn new(package: &Path) -> std::io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            package: package.to_owned(),
            keys: Vec::new(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            longest: ANALYSIS_DEADLINE,
        })
    }
}

/// The parent's end of the worker process; starts it again when it has died.
pub struct Worker {
    settings: WorkerSettings,
    /// What the model reads or shows; empty without a model.
    contrasts: Vec<Contrast>,
    running: Mutex<Option<Running>>,
}

struct Running {
    /// Killed when dropped.
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts the process and waits until its model is loaded and checked.
    ///
    /// A package that fails its checks is no error here: the worker then answers every study with
    /// that reason. It is returned beside the worker so that the station can show it at once.
    ///
    /// # Errors
    /// The process does not start or does not report in time.
    pub async fn start(settings: WorkerSettings) -> Result<(Worker, Result<ModelIdentity, Reason>), Reason> {
        let (running, hello) = spawn(&settings).await?;
        let Hello {
            model,
            reason,
            contrasts,
        } = hello;
        let model = model.ok_or_else(|| {
            reason.unwrap_or_else(|| fault("worker_start", "the worker has neither model nor reason"))
        });
        Ok((
            Worker {
                settings,
                contrasts,
                running: Mutex::new(Some(running)),
            },
            model,
        ))
    }

    /// Answers about the study in a folder; tells each step that begins, by its name in
    /// [`models::findings::Timing::step`].
    ///
    /// # Errors
    /// `worker_start`, `worker_crashed`, `worker_timeout`: the process is gone; the next call starts
    /// a new one.
    pub async fn analyze(&self, folder: &Path, told: &(dyn Fn(&str) + Sync)) -> Result<Answer, Reason> {
        let request = Request::Answer(folder.to_owned());
        let last = |progress: Progress| match progress {
            Progress::Step(step) => {
                told(&step);
                None
            }
            Progress::Answer(answer) => Some(*answer),
        };
        self.ask_until(&request, last).await
    }

    /// The study in a folder on every slice, where it is the one that was answered about last: the JSON of
    /// [`models::pictures::Pictures`]. It is not read here, since it is large and only kept; who shows it checks it.
    ///
    /// # Errors
    /// As [`Worker::analyze`].
    pub async fn pictures(&self, folder: &Path) -> Result<Option<Vec<u8>>, Reason> {
        let request = Request::Pictures(folder.to_owned());
        let line = self.exchange(&request, |line| Ok(Some(line))).await?;
        Ok(Some(line).filter(|line| line != b"null"))
    }

    /// Whose study lies in a folder.
    ///
    /// # Errors
    /// As [`Worker::analyze`].
    pub async fn identify(&self, folder: &Path) -> Result<Whose, Reason> {
        self.ask(&Request::Identify(folder.to_owned())).await
    }

    /// The contrasts that the model reads or shows and no header in a folder promises; none without a
    /// model.
    ///
    /// # Errors
    /// As [`Worker::analyze`].
    pub async fn missing_contrasts(&self, folder: &Path) -> Result<Option<Vec<Contrast>>, Reason> {
        if self.contrasts.is_empty() {
            return Ok(None);
        }
        let promised: Vec<Contrast> = self.ask(&Request::Contrasts(folder.to_owned())).await?;
        let missing = self.contrasts.iter().filter(|c| !promised.contains(c));
        Ok(Some(missing.copied().collect()))
    }

    async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Reason> {
        self.ask_until(request, Some).await
    }

    /// Reads replies until `last` takes one as the last.
    async fn ask_until<R: DeserializeOwned, T>(
        &self,
        request: &Request,
        last: impl Fn(R) -> Option<T>,
    ) -> Result<T, Reason> {
        let read = |line: Vec<u8>| {
            let reply: R = serde_json::from_slice(&line)
                .map_err(|e| crashed(&format!("its answer is no answer: {e}")))?;
            Ok(last(reply))
        };
        self.exchange(request, read).await
    }

    /// Sends a request and gives each line of the reply to `last`, until it takes one as the last.
    async fn exchange<T>(
        &self,
        request: &Request,
        last: impl Fn(Vec<u8>) -> Result<Option<T>, Reason>,
    ) -> Result<T, Reason> {
        let mut slot = self.running.lock().await;
        // Taken out while it works: whatever goes wrong below drops it, and dropping kills it.
        let mut running = match slot.take() {
            Some(running) => running,
            None => spawn(&self.settings).await?.0,
        };
        let exchange = async {
            let line = wire::line(request)?;
            running
                .requests
                .write_all(&line)
                .await
                .map_err(|e| crashed(&e.to_string()))?;
            loop {
                let reply = read_line(&mut running.replies, MAX_ANSWER_BYTES).await?;
                if let Some(answer) = last(reply)? {
                    return Ok::<T, Reason>(answer);
                }
            }
        };
        let answer = timeout(self.settings.longest, exchange).await.map_err(|_| {
            let seconds = self.settings.longest.as_secs();
            fault(
                "worker_timeout",
                &format!("the analysis took longer than {seconds} s and was stopped"),
            )
        })??;
        *slot = Some(running);
        Ok(answer)
    }

    /// Process id of the worker, while it runs.
    pub async fn process_id(&self) -> Option<u32> {
        self.running.lock().await.as_ref().and_then(|r| r.child.id())
    }
}

async fn spawn(settings: &WorkerSettings) -> Result<(Running, Hello), Reason> {
    let mut child = Command::new(&settings.program)
        .arg("worker")
        .arg("--package")
        .arg(&settings.package)
        .arg("--threads")
        .arg(settings.threads.to_string())
        .args(settings.keys.iter().flat_map(|key| ["--key", key]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| fault("worker_start", &format!("the worker process does not start: {e}")))?;
    let pipes = (child.stdin.take(), child.stdout.take());
    let (Some(requests), Some(replies)) = pipes else {
        return Err(fault("worker_start", "the worker process has no pipes"));
    };
    let mut replies = BufReader::new(replies);
    let hello = timeout(WORKER_START, read_line(&mut replies, MAX_ANSWER_BYTES))
        .await
        .map_err(|_| fault("worker_start", "the worker process did not get ready in time"))??;
    let hello = serde_json::from_slice(&hello)
        .map_err(|e| fault("worker_start", &format!("the worker process greets wrongly: {e}")))?;
    Ok((
        Running {
            child,
            requests,
            replies,
        },
        hello,
    ))
}

/// One line without its end; more than `limit` bytes or no line at all is a crash.
async fn read_line(replies: &mut BufReader<ChildStdout>, limit: u64) -> Result<Vec<u8>, Reason> {
    let mut line = Vec::new();
    replies
        .take(limit)
        .read_until(b'\n', &mut line)
        .await
        .map_err(|e| crashed(&e.to_string()))?;
    if line.pop() != Some(b'\n') {
        return Err(crashed("its answer stops in the middle"));
    }
    Ok(line)
}

fn crashed(how: &str) -> Reason {
    fault("worker_crashed", &format!("the analysis process died: {how}"))
}

fn fault(code: &str, text: &str) -> Reason {
    Reason::new(code, Fault::Us, text)
}
