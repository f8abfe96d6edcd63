//! One API server with its controllers, of which one leads.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use dockfleet_e2e::faults::{Facts, How, Order, RENEWAL, differences, now};
use dockfleet_e2e::{ControlPlane, Dockfleet, eventually};

use crate::audit::{WriteAudit, judge};
use crate::controllers::{ACQUIRED, Controller, SOON, gap};
use crate::facts::{facts, leftovers, undone};
use crate::hub::{Hub, label};

/// Where the controllers have their accounts.
const NAMESPACE: &str = "dockfleet-system";
/// The names by which the audit log knows the controllers, one after the other: more than there ever
/// are at once.
const ACCOUNTS: [&str; 4] = ["first", "second", "third", "fourth"];
/// How many changes are made until nobody disturbs one.
const MOST_CHANGES: usize = 5;
/// How long nothing is written when all is done: longer than a batch of reports is waited for.
const QUIET: u64 = 400_000;

/// One API server with its controllers.
pub(crate) struct Site {
    // It ends before the API server does.
    controllers: Vec<Controller>,
    plane: ControlPlane,
    hub: Hub,
    /// The credentials of each account.
    kubeconfigs: Vec<PathBuf>,
    started: usize,
    step: usize,
    /// What the network on all hosts was labelled last.
    label: String,
    clean: Facts,
    /// The writes of a change that nobody disturbs.
    pub(crate) writes: Vec<String>,
    /// Controllers that a busy machine has kept from renewing the Lease.
    pub(crate) demoted: usize,
}

/// What became of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How long nobody led after the loss; nothing where the leader was not lost.
    pub(crate) gap: Option<Duration>,
    /// How long nobody led after a leader had given the Lease up.
    pub(crate) given_up: Option<Duration>,
    pub(crate) findings: Vec<String>,
}

impl Site {
    /// Starts everything, and makes one change that nobody disturbs.
    pub(crate) fn start(dockfleet: &Dockfleet) -> Result<Self> {
        let plane = ControlPlane::start_audited()?;
        let kubeconfigs = prepare(&plane, dockfleet)?;
        let mut site = Self {
            controllers: Vec::new(),
            hub: Hub(plane.client()?),
            plane,
            kubeconfigs,
            started: 0,
            step: 0,
            label: label(0),
            clean: Facts::new(),
            writes: Vec::new(),
            demoted: 0,
        };
        site.hub.begin()?;
        site.muster()?;
        site.settle()?;
        site.muster()?;
        for _ in 0..MOST_CHANGES {
            let begin = now();
            site.change()?;
            let clean = site.settle()?;
            site.muster()?;
            let leader = site.leader().context("nobody leads")?;
            let writes = leader.writes(begin);
            // A busy machine may have cost the leader of before the Lease.
            if !writes.iter().any(|what| what == ACQUIRED) {
                (site.writes, site.clean) = (writes, clean);
                return Ok(site);
            }
        }
        bail!("no leader led through a whole change, {MOST_CHANGES} times")
    }

    /// Changes everything, with a leader that is lost in the midst of it.
    pub(crate) fn run(&mut self, loss: &Order) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let at_claim = loss.of.as_deref() == Some(ACQUIRED);
        self.muster()?;
        let target = if at_claim {
            // The one beside the leader is lost when it takes over.
            self.standby().context("nobody stands by")?
        } else {
            self.leader().context("nobody leads")?
        };
        target.order(loss)?;
        self.change()?;
        if at_claim {
            outcome.given_up = self.hand_over()?;
        }
        if loss.how == How::Held {
            self.edit_when_lost()?;
        }
        self.settle()?;
        let is_lost = |c: &Controller| c.stopped().is_some();
        if !self.controllers.iter().any(is_lost) {
            // It made fewer writes than usual, or is lost at this very moment.
            for controller in &self.controllers {
                let _ = controller.spare();
            }
            self.muster()?;
        }
        let Some(place) = self.controllers.iter().position(is_lost) else {
            return Ok(outcome);
        };
        let gone = self.controllers.remove(place);
        // It may have been the last write of all, a moment ago.
        let heir = eventually("another leader", SOON, || {
            self.tend().map_err(|e| format!("{e:#}"))?;
            self.leader()
                .and_then(Controller::acquired)
                .ok_or_else(|| "there is none".to_owned())
        })
        .with_context(|| self.logs())?;
        outcome.gap = Some(gap(gone.stopped(), Some(heir))?);
        if loss.how == How::Killed {
            gone.process.wait(SOON)?;
        } else {
            outcome.findings.extend(gone.goes_on_and_ends()?);
        }
        // Whoever leads now has come to the same end, and stays there.
        self.muster()?;
        self.settle()?;
        Ok(outcome)
    }

    fn change(&mut self) -> Result<()> {
        self.step += 1;
        self.label = label(self.step);
        self.hub.change(self.step)
    }

    /// Changes something again once a leader is lost, so that the write which it is about to send is not
    /// what the next one writes. Nothing is changed where it is not lost.
    fn edit_when_lost(&mut self) -> Result<()> {
        let waited = eventually("a loss, or the end of all work", SOON, || {
            let facts = self.look().map_err(|e| format!("{e:#}"))?;
            let lost = self.controllers.iter().any(|c| c.stopped().is_some());
            if lost || facts == self.clean {
                return Ok(lost);
            }
            Err("there is work to do".to_owned())
        });
        if waited.with_context(|| self.logs())? {
            self.label += "-held";
            self.hub.edit(&self.label)?;
        }
        Ok(())
    }

    /// Has the leader stop; gives how long nobody led. Nothing where it did not give the Lease up, as it
    /// has to where it is stopped in the midst of a write.
    fn hand_over(&mut self) -> Result<Option<Duration>> {
        let leads = self.controllers.iter().position(Controller::leads);
        let leader = self.controllers.remove(leads.context("nobody leads")?);
        if let Err(error) = leader.stop() {
            // It may have lost the Lease in that moment.
            ensure!(leader.was_demoted(), "{error:#}");
            self.demoted += 1;
        }
        let next = self.controllers.first().context("nobody stands by")?;
        let led = eventually("the next leader", SOON, || {
            next.acquired().ok_or_else(|| next.log())
        })?;
        // The one after that.
        self.start_controller()?;
        let given_up = leader.vacated();
        given_up.map(|at| gap(Some(at), Some(led))).transpose()
    }

    /// Judges all writes by the API server's audit log.
    pub(crate) fn judge(&self) -> Result<WriteAudit> {
        judge(&self.plane.writes()?, NAMESPACE)
    }

    /// Gives of how many deleted hosts something is left that they were known by.
    pub(crate) fn leftovers(&self) -> Result<usize> {
        Ok(leftovers(&self.hub.work()?))
    }

    /// Waits until everything is as it should be: as in the clean run, or else done.
    fn settle(&mut self) -> Result<Facts> {
        let waited = eventually("the end of all work", SOON, || {
            let facts = self.look().map_err(|e| format!("{e:#}"))?;
            let missing = if self.clean.is_empty() {
                undone(&facts)
            } else {
                differences(&self.clean, &facts)
            };
            if missing.is_empty() {
                return Ok(facts);
            }
            Err(format!("{missing:#?}"))
        });
        waited.with_context(|| self.logs())
    }

    /// Does what agents and who starts controllers do, and gives how everything stands.
    fn look(&mut self) -> Result<Facts> {
        let stand = self.hub.work()?;
        self.tend()?;
        facts(&stand, self.step, &self.label)
    }

    /// Sees that one leads, another one stands by, and nothing is written any more.
    fn muster(&mut self) -> Result<()> {
        let waited = eventually("a leader, a standby and silence", SOON, || {
            self.tend().map_err(|e| format!("{e:#}"))?;
            let leader = self.leader().ok_or("nobody leads")?;
            let last = leader.account().into_iter().filter(|l| l.what != RENEWAL);
            let last = last.map(|line| line.time).max().unwrap_or_default();
            if now().saturating_sub(last) < QUIET {
                return Err(format!("it is writing: {:?}", leader.account().last()));
            }
            match self.standby() {
                Some(standby) if standby.is_ready() => Ok(()),
                Some(standby) => Err(standby.log()),
                None => {
                    self.start_controller().map_err(|e| format!("{e:#}"))?;
                    Err("nobody stood by".to_owned())
                }
            }
        });
        waited.with_context(|| self.logs())
    }

    /// Forgets controllers that a busy machine has cost the Lease, as what starts them again would;
    /// starts one where there is none left.
    fn tend(&mut self) -> Result<()> {
        let before = self.controllers.len();
        self.controllers.retain(|c| !c.was_demoted());
        self.demoted += before - self.controllers.len();
        for controller in &self.controllers {
            let as_asked = controller.process.is_running() || controller.stopped().is_some();
            ensure!(as_asked, "a controller ended:\n{}", controller.log());
        }
        if !self.controllers.iter().any(|c| c.stopped().is_none()) {
            self.start_controller()?;
        }
        Ok(())
    }

    fn start_controller(&mut self) -> Result<()> {
        let account = self.started % self.kubeconfigs.len();
        let kubeconfig = self.kubeconfigs.get(account).context("no account")?;
        self.controllers.push(Controller::start(kubeconfig)?);
        self.started += 1;
        Ok(())
    }

    fn leader(&self) -> Option<&Controller> {
        self.controllers.iter().find(|c| c.leads())
    }

    fn standby(&self) -> Option<&Controller> {
        let mut all = self.controllers.iter();
        all.find(|c| c.acquired().is_none() && c.stopped().is_none())
    }

    fn logs(&self) -> String {
        let logs: Vec<String> = self.controllers.iter().map(Controller::log).collect();
        logs.join("\n--\n")
    }
}

/// Installs the CRDs and makes the accounts; gives the credentials of each.
fn prepare(plane: &ControlPlane, dockfleet: &Dockfleet) -> Result<Vec<PathBuf>> {
    plane.install_crds(dockfleet)?;
    let mut wanted = String::new();
    for name in ["dockfleet-hosts", NAMESPACE] {
        let namespace =
            format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n---\n");
        wanted.push_str(&namespace);
    }
    for name in ACCOUNTS {
        let account = format!("{{kind: ServiceAccount, name: {name}, namespace: {NAMESPACE}}}");
        let role = "{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}";
        write!(
            wanted,
            "{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: {name}, namespace: {NAMESPACE}}}}}\n---\n\
             {{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {{name: {name}}},\n \
             roleRef: {role}, subjects: [{account}]}}\n---\n"
        )?;
    }
    plane.apply_yaml(&wanted)?;
    let accounts = ACCOUNTS.into_iter();
    accounts
        .map(|name| plane.kubeconfig_for(NAMESPACE, name))
        .collect()
}
