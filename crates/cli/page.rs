//! What a comparison leaves beside what it prints: a page, and the profiles of both sides.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use hotproof_diff::{Comparison, Conclusion, Side};
use hotproof_formats::native;
use hotproof_lab::{Event, Observer, RunProfiles};
use hotproof_profile::Profile;
use hotproof_report::compare::{Section, html};

use crate::failure::{Code, Failure};
use crate::observer::Screen;
use crate::output::{self, PendingFile};

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct Leave {
    /// Write the result as one page with pictures: the pairs, where the change sits, flame graphs
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write what all counted runs sampled into this folder, as base.hotproof and head.hotproof
    #[arg(long, value_name = "FOLDER")]
    pub(crate) profiles: Option<PathBuf>,
}

/// A comparison with what was sampled.
pub(crate) struct Measured {
    pub(crate) comparison: Comparison,
    pub(crate) conclusion: Conclusion,
    /// Of base and head, where they were asked for and sampled.
    pub(crate) profiles: [Option<Profile>; 2],
    /// Where it was logged.
    pub(crate) place: Option<String>,
}

impl Measured {
    /// As the log has it, which holds no samples.
    pub(crate) fn logged(
        comparison: Comparison,
        conclusion: Conclusion,
        place: String,
    ) -> Measured {
        Measured {
            comparison,
            conclusion,
            profiles: [None, None],
            place: Some(place),
        }
    }
}

/// The screen, which also takes the profiles.
pub(crate) struct Keeper {
    pub(crate) screen: Screen,
    pub(crate) profiles: [Option<Profile>; 2],
}

impl Observer for Keeper {
    fn event(&mut self, event: &Event<'_>) {
        self.screen.event(event);
    }

    fn profile(&mut self, side: Side, profile: Profile) {
        let [base, head] = &mut self.profiles;
        match side {
            Side::Base => *base = Some(profile),
            Side::Head => *head = Some(profile),
        }
    }
}

/// Places that were made sure of before anything was measured.
pub(crate) struct Places {
    page: Option<PendingFile>,
    folder: Option<PathBuf>,
}

impl Leave {
    pub(crate) fn run_profiles(&self) -> RunProfiles {
        if self.html.is_some() || self.profiles.is_some() {
            RunProfiles::Kept
        } else {
            RunProfiles::Dropped
        }
    }

    /// Makes sure that everything can be written.
    pub(crate) fn prepare(&self) -> Result<Places, Failure> {
        if let Some(folder) = &self.profiles {
            make_folder(folder)?;
        }
        let page = self.html.as_deref().map(PendingFile::create);
        Ok(Places {
            page: page.transpose()?,
            folder: self.profiles.clone(),
        })
    }
}

impl Places {
    /// Writes everything; several workloads are sections of one page, and have folders of their own,
    /// also where one alone could be measured (`are_several`).
    pub(crate) fn write(self, all: &[Measured], are_several: bool) -> Result<(), Failure> {
        // The page first: there may be no profiles, and the page says so, too.
        let page = self.page.map_or(Ok(()), |page| write_page(page, all));
        let profiles = self.folder.map_or(Ok(()), |folder| {
            write_all_profiles(&folder, all, are_several)
        });
        match (page, profiles) {
            (Err(first), Err(second)) => {
                output::say(&second.to_string());
                Err(first)
            }
            (page, profiles) => page.and(profiles),
        }
    }
}

fn write_all_profiles(folder: &Path, all: &[Measured], are_several: bool) -> Result<(), Failure> {
    for measured in all {
        let name = measured.comparison.setup.workload.as_deref();
        let folder = match name.filter(|_| are_several) {
            Some(name) => folder.join(name.replace('/', "_")),
            None => folder.to_owned(),
        };
        write_profiles(&folder, measured)?;
    }
    Ok(())
}

fn write_profiles(folder: &Path, measured: &Measured) -> Result<(), Failure> {
    make_folder(folder)?;
    let names = ["base.hotproof", "head.hotproof"];
    for (name, profile) in names.into_iter().zip(&measured.profiles) {
        let Some(profile) = profile else {
            let what = format!(
                "no counted run was sampled, so there is no {}",
                folder.join(name).display()
            );
            return Err(Failure::new(Code::Refused, what)
                .remedy("the result says why: its reason, or the rung of its machine line"));
        };
        let file = PendingFile::create(&folder.join(name))?;
        file.finish(|out| Ok(native::write(profile, out)?))?;
    }
    Ok(())
}

/// Writes one page of all.
pub(crate) fn write_page(page: PendingFile, all: &[Measured]) -> Result<(), Failure> {
    let sections: Vec<Section<'_>> = all
        .iter()
        .map(|measured| Section {
            comparison: &measured.comparison,
            conclusion: &measured.conclusion,
            record: measured.place.as_deref(),
            profiles: match &measured.profiles {
                [Some(base), Some(head)] => Some([base, head]),
                _ => None,
            },
        })
        .collect();
    let text = html(&sections);
    page.finish(|out| Ok(out.write_all(text.as_bytes())?))?;
    Ok(())
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| {
        let what = format!("cannot make the folder {}: {error}", folder.display());
        Failure::new(Code::Failure, what).remedy("name another folder with --profiles")
    })
}
