/** What members ask of one another beside Raft: changes that only the leader may make, how long
 * leases live, which only it knows, and who is in the cluster. JSON. */
import type { AdminChange, AdminError, AdminMember, LeaderTransferResult } from '../../lib/admin-api.ts'
import type { Result } from '../../lib/result.ts'
import type { NodeProblem } from './ports.ts'

export type PeerRequest =
  | {
      readonly kind: 'change'
      /** Empty through etcd's Cluster API. */
      readonly operationId: string
      readonly expectedConfigIndex: number | undefined
      readonly change:
        | {
            readonly kind: 'add'
            readonly name: string
            readonly peerURLs: readonly string[]
            readonly isLearner: boolean
          }
        /** maxLagEntries undefined: etcd's rule, 90 % of the leader's log. */
        | { readonly kind: 'promote'; readonly memberId: string; readonly maxLagEntries: number | undefined }
        | { readonly kind: 'remove'; readonly memberId: string }
    }
  | {
      readonly kind: 'transfer-leader'
      readonly operationId: string
      readonly expectedConfigIndex: number | undefined
      readonly memberId: string
    }
  | { readonly kind: 'members' }
  | LeaseQuestion

/** The ID in decimals, signed. */
export type LeaseQuestion =
  | { readonly kind: 'lease-renew'; readonly leaseId: string }
  | { readonly kind: 'lease-time-to-live'; readonly leaseId: string }

/** `not-primary`: the asked member cannot know, ask the leader. */
export type LeaseAnswer =
  | { readonly kind: 'lease'; readonly state: 'absent' | 'not-primary' }
  | {
      readonly kind: 'lease'
      readonly state: 'alive'
      readonly ttlSeconds: number
      readonly remainingSeconds: number
    }

export interface WireRefusal {
  readonly error: AdminError
  readonly problem: NodeProblem
}

export interface MembersAnswer {
  readonly clusterId: string
  readonly members: readonly AdminMember[]
}

export type PeerAnswer =
  | { readonly kind: 'change'; readonly result: Result<AdminChange, WireRefusal> }
  | { readonly kind: 'transfer-leader'; readonly result: Result<LeaderTransferResult, WireRefusal> }
  | { readonly kind: 'members'; readonly answer: MembersAnswer }
  | LeaseAnswer

export function encodeJson(value: PeerRequest | PeerAnswer): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** Peers are members of the same cluster and version; undefined for what is not JSON. */
export function decodePeerRequest(bytes: Uint8Array): PeerRequest | undefined {
  return decodeJson(bytes) as PeerRequest | undefined
}

export function decodePeerAnswer(bytes: Uint8Array): PeerAnswer | undefined {
  return decodeJson(bytes) as PeerAnswer | undefined
}

function decodeJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}
