/** Entries of a leader that lost its office before it could commit them: term 3, behind entry 25. */
import { LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { encodeCommand } from '../../node-server/mvcc/command.ts'
import { putRequest } from '../../node-server/mvcc/testing/requests.ts'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import type { Entry } from '../../node-server/raft/message.ts'

export const FOREIGN_LEADER = MemberId(3n)
export const FOREIGN_TERM = Term(3)

export function foreignEntry(index: number): Entry {
  const request = PutRequest.encode(putRequest('foreign', `${index}`)).finish()
  const data = encodeCommand({ kind: 'put', requestId: 0n, request })
  return { index: LogIndex(index), term: FOREIGN_TERM, kind: 'normal', data }
}
