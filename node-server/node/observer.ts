/** What a member reports about its work; metrics and logs listen. Calls are cheap and never throw. */
export interface NodeObserver {
  walFsync(seconds: number): void
  backendCommit(seconds: number): void
  proposalFailed(): void
  /** Also for the first leader that is seen. */
  leaderChanged(): void
  /** A batch took longer to apply than `slowApplyMs`. */
  slowApply(): void
  /** Applied here, on any member, like a revoke. */
  leaseGranted(ttlSeconds: number): void
  leaseRevoked(): void
  /** At the leader. */
  leaseRenewed(): void
  /** At the leader: a revoke that nobody asked for is applied. */
  leaseExpired(): void
}

const nothing = (): void => undefined

/** Nobody listens. */
export const UNOBSERVED: NodeObserver = {
  walFsync: nothing,
  backendCommit: nothing,
  proposalFailed: nothing,
  leaderChanged: nothing,
  slowApply: nothing,
  leaseGranted: nothing,
  leaseRevoked: nothing,
  leaseRenewed: nothing,
  leaseExpired: nothing,
}
