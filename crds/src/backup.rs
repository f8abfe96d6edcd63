//! Backups of volumes: where they are ([`BackupRepository`]), one backup of a volume ([`VolumeBackup`]), and backups that
//! are made again and again ([`VolumeBackupSchedule`]), and what is written back
//! ([`VolumeRestore`]).

mod repository;
mod restore;
mod rules;
mod schedule;
mod state;
mod volume_backup;

pub use repository::{
    BackupRepository, BackupRepositorySpec, BackupRepositoryStatus, Bandwidth, CreatePolicy,
    Layout, PathStore, RepositorySecret, RepositoryState, RestStore, RetentionRules, S3Store,
};
pub use restore::{VolumeRestore, VolumeRestoreSpec, VolumeRestoreStatus};
pub use schedule::{
    RUN_NOW, SCHEDULE_LABEL, SCHEDULED_AT, ScheduleState, VolumeBackupSchedule,
    VolumeBackupScheduleSpec, VolumeBackupScheduleStatus,
};
pub use state::{
    BackupPhase, BackupState, HostBackup, MAX_RESULTS, RecordedRepository, VolumeBackupStatus,
};
pub use volume_backup::{Consistency, Verify, VolumeBackup, VolumeBackupSpec};
