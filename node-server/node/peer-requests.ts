/** What members ask of one another beside Raft: changes that only the leader may make, and who is in the cluster. JSON. */
import type { AdminChange, AdminError, AdminMember, LeaderTransferResult } from '../../lib/admin-api.ts'
import type { Result } from '../../lib/result.ts'
import type { HashedKeyValues, HashProblem } from './hasher.ts'
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
  | HashQuestion

/** The hash of the asked member's own data at a revision. */
export interface HashQuestion {
  readonly kind: 'hash-kv'
  readonly revision: number
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
  | { readonly kind: 'hash-kv'; readonly result: Result<HashedKeyValues, HashProblem> }

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
