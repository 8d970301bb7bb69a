import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, MemberId, Term } from '../../../lib/ids.ts'
import { encodeCommand } from '../../mvcc/command.ts'
import type { Message, ProposedEntry } from '../../raft/message.ts'
import { onlyApplicable } from './forwarded.ts'

const envelope = { from: MemberId(2n), to: MemberId(1n), term: Term(3) }
const put = encodeCommand({ kind: 'put', requestId: 1n, request: Buffer.from('any') })
const remove = encodeCommand({
  kind: 'membership',
  requestId: 1n,
  operationId: '',
  expectedConfigIndex: undefined,
  change: { kind: 'remove', memberId: MemberId(2n) },
})

function filtered(entries: readonly ProposedEntry[]): { kept: readonly ProposedEntry[]; reasons: readonly string[] } {
  const reasons: string[] = []
  const messages: Message[] = [{ kind: 'propose-request', ...envelope, entries }]
  const [message] = onlyApplicable(messages, (_message, reason) => reasons.push(reason))
  assert.ok(message?.kind === 'propose-request')
  return { kept: message.entries, reasons }
}

test('a forwarded entry that no member could apply is left out, the ones beside it are taken', () => {
  const good = { kind: 'normal', data: put } as const
  const entries: readonly ProposedEntry[] = [
    good,
    { kind: 'normal', data: Buffer.alloc(0) },
    { kind: 'normal', data: Buffer.from('ff0000000000000001', 'hex') },
    { kind: 'normal', data: put.subarray(0, 5) },
    { kind: 'normal', data: remove },
    { kind: 'config', data: put },
    { kind: 'config', data: Buffer.alloc(0) },
    { kind: 'config', data: remove },
  ]
  const { kept, reasons } = filtered(entries)
  assert.deepEqual(kept, [good, { kind: 'config', data: remove }])
  assert.equal(reasons.length, 6)
  assert.match(reasons.join('\n'), /a membership command in an entry of kind normal/)
})

test('other messages pass as they are', () => {
  const messages: Message[] = [{ kind: 'heartbeat-request', ...envelope, commit: LogIndex(1), readBatch: 0 }]
  assert.equal(
    onlyApplicable(messages, () => assert.fail('nothing to refuse')),
    messages,
  )
})
