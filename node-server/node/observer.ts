/** What a member tells of its work while it works; metrics and logs listen. Calls are cheap and never throw. */
export interface NodeObserver {
  walFsync(seconds: number): void
  backendCommit(seconds: number): void
  proposalFailed(): void
  /** Also for the first leader that is seen. */
  leaderChanged(): void
  /** A batch took longer to apply than `slowApplyMs`. */
  slowApply(): void
}
