/** What a pod runs: a member on the disk of its volume. */
import { type Configuration, NO_CONFIGURATION } from './raft-cluster.ts'

/** A data directory. It lives and dies with its PersistentVolumeClaim. */
export interface Disk {
  clusterId: string
  memberId: string
  isRemoved: boolean
  applied: number
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
