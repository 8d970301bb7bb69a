/** What a pod runs: a member on the disk of its volume. */
import { type Configuration, NO_CONFIGURATION, NO_TAIL, type Tail } from './raft-cluster.ts'

/** A data directory. It lives and dies with its PersistentVolumeClaim. */
export interface Disk {
  clusterId: string
  memberId: string
  isRemoved: boolean
  /** As much of the acknowledged history as it has. */
  applied: number
  /** Term of the entry at `applied`. */
  appliedTerm: number
  /** Behind `applied`: what a leader took in last and no quorum has. */
  tail: Tail
  term: number
  known: Configuration
  /** As a learner it never catches up. */
  isCursed: boolean
}

export function emptyDisk(): Disk {
  return {
    clusterId: '',
    memberId: '',
    isRemoved: false,
    applied: 0,
    appliedTerm: 0,
    tail: NO_TAIL,
    term: 0,
    known: NO_CONFIGURATION,
    isCursed: false,
  }
}

export interface MemberProcess {
  readonly name: string
  readonly podUid: string
  readonly address: string
  readonly disk: Disk
  readonly version: string
  isUp: boolean
  /** From the other members. */
  isCutOff: boolean
  /** From the operator. */
  isUnreachable: boolean
  /** A deposed leader believes in itself until then. */
  ledUntilMs: number
}
