//! `sialoscope-trainer`: the command line of the trainer.
//!
//! Exit codes: 0 done, 1 the work failed, 2 wrong usage or configuration. Data goes to standard output,
//! logs and progress to standard error.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use models::findings::Fault;
use trainer::cohort::{Cohort, Indexed, MADE_BY, Order, Patient, Split, index};
use trainer::error::Error;
use trainer::evaluate::{Evaluation, examine, summarise};
use trainer::experiment::{Experiment, Precision};
use trainer::fit::progress;
use trainer::origin::command_line;
use trainer::papers::reproduce::{Reproduction, simulated};
use trainer::papers::tables::Table;
use trainer::papers::{Paper, Plan};
use trainer::readers::Scores;
use trainer::report::Report;
use trainer::run_folder::RunFolder;
use trainer::statistics::{Auc, Share};
use trainer::train::{Stage, train};

/// Trains, evaluates and exports Sialoscope model packages. Research use only, not for diagnosis.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Simulate patients as DICOM folders with truth and mask.
    Phantom {
        /// How many.
        #[arg(long)]
        patients: usize,
        /// New folder for them.
        #[arg(long)]
        out: PathBuf,
        /// Of the first patient; the others follow.
        #[arg(long)]
        seed: u64,
        /// Simulated at a time.
        #[arg(long, default_value_t = phantom::DEFAULT_THREADS)]
        threads: usize,
        /// Folder with real T1 studies whose heads become the anatomy, used in turn [default: drawn heads].
        #[arg(long, value_name = "DIR")]
        anatomy: Option<PathBuf>,
    },
    /// Index a folder of studies in any layout, pair it with labels and masks, and split it.
    Index {
        /// Folder with the DICOM files.
        dir: PathBuf,
        /// The cohort file to write.
        #[arg(long)]
        out: PathBuf,
        /// Seed of the split and the folds.
        #[arg(long)]
        seed: u64,
        /// Table of labels, CSV or TOML [default: each patient's truth.json].
        #[arg(long, value_name = "FILE")]
        labels: Option<PathBuf>,
        /// Folder of masks.
        #[arg(long, value_name = "DIR")]
        masks: Option<PathBuf>,
        /// Also write the report as JSON.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// Stop at whatever would leave a patient out.
        #[arg(long)]
        strict: bool,
        /// Patients read at a time.
        #[arg(long, default_value_t = 2)]
        threads: usize,
    },
    /// Train all networks of an experiment.
    Train {
        /// The experiment file.
        experiment: PathBuf,
        /// The cohort file.
        #[arg(long)]
        cohort: PathBuf,
        /// Folder for the run.
        #[arg(long)]
        out: PathBuf,
        /// Where examinations are kept as tensors between runs [default: beside the cohort file].
        #[arg(long)]
        cache: Option<PathBuf>,
        /// An earlier run of the same cohort whose weights are the start.
        #[arg(long, value_name = "RUN")]
        start: Option<PathBuf>,
        /// Which stages are fitted; the others keep the weights of the start [default: all].
        #[arg(
            long,
            value_enum,
            value_delimiter = ',',
            requires = "start",
            value_name = "STAGES"
        )]
        fit: Vec<Stage>,
    },
    /// Evaluate a run at its own operating points.
    Evaluate {
        /// The run.
        run: PathBuf,
        /// Another cohort than the run's own, for example fresh patients; all its patients are taken.
        #[arg(long, conflicts_with = "split")]
        cohort: Option<PathBuf>,
        /// Which patients of the run's own cohort.
        #[arg(long, value_enum, default_value_t = SplitName::Test)]
        split: SplitName,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Choose the operating points of a run anew, from the cases it has kept; no network runs.
    Calibrate {
        /// The run; its experiment and its figures are rewritten.
        run: PathBuf,
        /// Share of the validation patients' tumours with a candidate that stay above the lesion score.
        #[arg(long, value_parser = share_of_one)]
        sensitivity: f64,
    },
    /// Fit the networks of a paper and print its tables with ours beside them.
    Reproduce(Reproduce),
    /// Export a run as a model package; stops when torch, ONNX Runtime and tract disagree.
    Export {
        /// The run.
        run: PathBuf,
        /// Folder for the package.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make one page and one JSON file of predictions: figures, curves, readers, checklists.
    Report {
        /// Input of the report as JSON: models with their predictions, what was run, and more.
        predictions: PathBuf,
        /// CSV file with the columns patient, reader and score (1 to 5); replaces readers of the input.
        #[arg(long, value_name = "CSV")]
        readers: Option<PathBuf>,
        /// Folder for report.html and report.json.
        #[arg(long)]
        out: PathBuf,
    },
}

/// What is done already in the folder is not done again.
#[derive(clap::Args)]
struct Reproduce {
    /// Which paper.
    #[arg(value_enum)]
    paper: Paper,
    /// Sizes and lengths: small for two CPU cores, full for a GPU.
    #[arg(long, default_value = "small")]
    preset: String,
    /// Folder for everything.
    #[arg(long)]
    out: PathBuf,
    /// Patients [default: simulated ones, made in the folder].
    #[arg(long)]
    cohort: Option<PathBuf>,
    /// Another plan than the one that comes with the program.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Of simulated patients, split, weights and order.
    #[arg(long, default_value_t = 20_260_001)]
    seed: u64,
    /// Threads of libtorch and of the readers of studies [default: as many as there are processors].
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// In which numbers convolutions compute while fitting.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,
    /// Do only this job; may be given several times.
    #[arg(long, value_name = "NAME")]
    job: Vec<String>,
    /// Print the jobs and do nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum SplitName {
    Train,
    Validation,
    Test,
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Train => Split::Train,
            SplitName::Validation => Split::Validation,
            SplitName::Test => Split::Test,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,ort=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(arguments.work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sialoscope-trainer: {error}");
            ExitCode::from(if error.fault() == Fault::Configuration {
                2
            } else {
                1
            })
        }
    }
}

fn run(work: Work) -> Result<(), Error> {
    match work {
        Work::Phantom {
            patients,
            out,
            seed,
            threads,
            anatomy,
        } => phantoms(patients, &out, seed, threads, anatomy.as_deref()),
        Work::Index {
            dir,
            out,
            seed,
            labels,
            masks,
            report,
            strict,
            threads,
        } => {
            let order = Order {
                root: &dir,
                labels: labels.as_deref(),
                masks: masks.as_deref(),
                seed,
                strict,
                threads,
                command: &command_line(),
            };
            index_cohort(&order, &out, report.as_deref())
        }
        Work::Train {
            experiment,
            cohort,
            out,
            cache,
            start,
            fit,
        } => {
            let cache = cache.unwrap_or_else(|| cohort.with_extension("tensors"));
            let (experiment, cohort) = (Experiment::open(&experiment)?, Cohort::open(&cohort)?);
            let plan = trainer::train::Plan {
                cache: &cache,
                start: start.as_deref(),
                stages: if fit.is_empty() {
                    Stage::value_variants()
                } else {
                    &fit
                },
                out: &out,
                command: &command_line(),
            };
            let metrics = train(&experiment, &cohort, &plan)?;
            print_figures("validation", &metrics.validation);
            print_figures("test", &metrics.test);
            Ok(())
        }
        Work::Evaluate {
            run,
            cohort,
            split,
            json,
        } => evaluate(&run, cohort.as_deref(), split.into(), json),
        Work::Calibrate { run, sensitivity } => {
            let metrics = RunFolder::open(&run)?.calibrate(sensitivity, &command_line())?;
            print_figures("validation", &metrics.validation);
            print_figures("test", &metrics.test);
            Ok(())
        }
        Work::Reproduce(wanted) => reproduce(&wanted),
        Work::Export { run, out } => {
            let report = trainer::export::export(&run, &out, &command_line())?;
            println!("{report}");
            Ok(())
        }
        Work::Report {
            predictions,
            readers,
            out,
        } => {
            let mut report = Report::open(&predictions)?;
            if let Some(path) = readers {
                report.readers = Some(Scores::open(&path)?);
            }
            let written = trainer::report::write(&report, &out)?;
            println!("{}", written.html.display());
            println!("{}", written.json.display());
            Ok(())
        }
    }
}

fn reproduce(wanted: &Reproduce) -> Result<(), Error> {
    let plan = Plan::open(wanted.paper, wanted.plan.as_deref())?;
    let (patients, _) = plan.cohort_of(&wanted.preset)?;
    if wanted.dry_run {
        match &wanted.cohort {
            Some(cohort) => println!("cohort {}", cohort.display()),
            None => println!("{patients} simulated patients"),
        }
        for job in plan.jobs() {
            println!("wave {}  {}", job.wave, job.name);
        }
        return Ok(());
    }
    let threads = match wanted.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism().map_err(Error::file(Path::new("/proc")))?,
    };
    std::fs::create_dir_all(&wanted.out).map_err(Error::file(&wanted.out))?;
    let cohort = match &wanted.cohort {
        Some(file) => Cohort::open(file)?,
        None => {
            let folder = wanted.out.join("simulated");
            simulated(&folder, patients, wanted.seed, threads.get(), &command_line())?
        }
    };
    let reproduction = Reproduction {
        plan,
        preset: wanted.preset.clone(),
        out: wanted.out.clone(),
        seed: wanted.seed,
        threads: threads.get(),
        precision: wanted.precision,
    };
    let Some(tables) = reproduction.run(&cohort, &wanted.job)? else {
        println!("some jobs are still to be done; without --job all are");
        return Ok(());
    };
    let text: Vec<String> = tables.iter().map(Table::markdown).collect();
    let text = text.join("\n");
    let file = wanted.out.join("tables.md");
    std::fs::write(&file, &text).map_err(Error::file(&file))?;
    println!("{text}");
    Ok(())
}

fn share_of_one(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err("more than 0, at most 1".to_owned())
    }
}

fn phantoms(
    patients: usize,
    out: &Path,
    seed: u64,
    threads: usize,
    anatomy: Option<&Path>,
) -> Result<(), Error> {
    let heads = anatomy.map(trainer::anatomy::heads).transpose()?;
    let bar = progress(patients, "simulating");
    let written = |e: phantom::Error| Error::Cohort(e.to_string());
    match &heads {
        None => {
            phantom::write_cohort_with(threads, patients, seed, out, |_| bar.inc(1)).map_err(written)?;
        }
        Some(heads) => {
            for line in &heads.left_out {
                tracing::warn!("not used as anatomy: {line}");
            }
            for head in &heads.found {
                tracing::info!("{}", described(head));
            }
            let every = heads.found.len();
            for (first, head) in (1..).zip(&heads.found) {
                let share = phantom::Share { first, every };
                phantom::write_cohort_on(head, share, threads, patients, seed, out, |_| bar.inc(1))
                    .map_err(written)?;
            }
        }
    }
    let made_by = out.join(MADE_BY);
    std::fs::write(&made_by, command_line() + "\n").map_err(Error::file(&made_by))?;
    bar.finish_and_clear();
    println!("{patients} simulated patients in {}", out.display());
    Ok(())
}

/// One line about a real head: how sure it is that these are the parotids.
fn described(head: &phantom::RealHead) -> String {
    let start: String = head.anatomy().chars().take(8).collect();
    let glands = head.glands().map(|g| {
        let [x, y, z] = g.centre_mm;
        format!(
            "{:?} parotid {:.0} ml at {x:.0}, {y:.0}, {z:.0} mm (fit {:.2}, fat {:.0} %)",
            g.side,
            g.volume_ml,
            g.fit,
            100.0 * g.fat
        )
    });
    let fat = if head.fat_suppressed() {
        ", fat suppressed: fat and bone are told apart by place only"
    } else {
        ""
    };
    format!("head {start}: fit {:.2}{fat}; {}", head.fit(), glands.join("; "))
}

fn index_cohort(order: &Order, out: &Path, report_file: Option<&Path>) -> Result<(), Error> {
    let bar = progress(0, "indexing");
    let Indexed { report, cohort } = index(order, &|done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    if let Some(path) = report_file {
        let text = serde_json::to_string_pretty(&report).map_err(|e| Error::Form {
            path: path.to_owned(),
            text: e.to_string(),
        })?;
        std::fs::write(path, text + "\n").map_err(Error::file(path))?;
    }
    print!("{report}");
    let cohort = cohort?;
    cohort.save(out)?;
    let count = |s| cohort.patients.iter().filter(|p| p.split == s).count();
    println!(
        "{} patients: {} for training, {} for validation, {} for testing; cohort {}",
        cohort.patients.len(),
        count(Split::Train),
        count(Split::Validation),
        count(Split::Test),
        cohort.sha256()
    );
    Ok(())
}

fn evaluate(run: &Path, other: Option<&Path>, split: Split, json: bool) -> Result<(), Error> {
    let run = RunFolder::open(run)?;
    let metrics = run.metrics()?;
    let networks = run.networks(tch::Device::cuda_if_available())?;
    tch::set_num_threads(run.experiment.threads as i32);
    let other = other.map(Cohort::open).transpose()?;
    let (cohort, patients): (&Cohort, Vec<&Patient>) = match &other {
        Some(other) => (other, other.within_classes().collect()),
        None => (&run.cohort, run.cohort.of(split).collect()),
    };
    let bar = progress(patients.len(), "evaluating");
    let cases = examine(&networks, cohort, &patients, &run.experiment, || bar.inc(1))?;
    bar.finish_and_clear();
    let figures = summarise(&cases, &metrics.operating_points, &metrics.calibration);
    if json {
        let text = serde_json::to_string_pretty(&figures).map_err(|e| Error::Form {
            path: "standard output".into(),
            text: e.to_string(),
        })?;
        println!("{text}");
    } else {
        print_figures(
            if other.is_some() {
                "other cohort"
            } else {
                "own cohort"
            },
            &figures,
        );
    }
    Ok(())
}

fn print_figures(name: &str, figures: &Evaluation) {
    let share = |what: &str, s: &Share| {
        let [low, high] = s.interval;
        match s.value {
            Some(value) => println!(
                "{what:38} {value:.3} ({low:.3} to {high:.3}), {} of {}",
                s.hits, s.of
            ),
            None => println!("{what:38} not known: no patients"),
        }
    };
    let area = |what: &str, a: &Option<Auc>| match a {
        Some(Auc {
            value,
            interval: [low, high],
            of: [m, n],
        }) => {
            println!("{what:38} {value:.3} ({low:.3} to {high:.3}), {m} against {n}");
        }
        None => println!("{what:38} not known: one side is empty"),
    };
    println!("{name}, 95 % intervals");
    share("tumour located", &figures.located);
    share("no finding without tumour", &figures.no_finding);
    println!("{:38} {:.3}", "Dice of located tumours", figures.dice);
    area("malignant against benign, AUC", &figures.malignant_auc);
    share("malignant, sensitivity", &figures.malignant_sensitivity);
    share("malignant, specificity", &figures.malignant_specificity);
    share("most probable class is right", &figures.accuracy);
    for class in &figures.classes {
        area(&format!("{}, AUC", class.class), &class.auc);
        share(&format!("{}, sensitivity", class.class), &class.sensitivity);
        share(&format!("{}, specificity", class.class), &class.specificity);
    }
}
