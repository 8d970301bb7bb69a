import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemberId, NOBODY } from '../../../lib/ids.ts'
import { ok } from '../../../lib/result.ts'
import type { Member } from '../../mvcc/command.ts'
import { getMember, putMember } from '../../mvcc/members.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { Store } from '../../mvcc/store.ts'
import { Attributes, type AttributesHost } from './attributes.ts'
import { applyAttributes } from './membership.ts'

const SELF = MemberId(1n)
const OTHER = MemberId(2n)
const recordOf = (id: MemberId, peerURL: string): Member => ({
  id,
  name: `m${id}`,
  peerURLs: [peerURL],
  clientURLs: [`http://m${id}:2379`],
  isLearner: false,
})

interface Made {
  readonly attributes: Attributes
  readonly store: Store
  readonly proposed: Member[]
  readonly log: string[]
}

function make(peerURLs: readonly string[] | undefined, leader = OTHER): Made {
  const store = new Store(new MemoryBackend())
  putMember(store, recordOf(SELF, 'http://m1:2380'))
  putMember(store, recordOf(OTHER, 'http://m2:2380'))
  const [proposed, log]: [Member[], string[]] = [[], []]
  const note = (_fields: object, message: string): number => log.push(message)
  const host: AttributesHost = {
    options: { name: 'm1', clientURLs: ['http://m1:2379'], peerURLs, log: { info: note, warn: note, error: note } },
    memberId: SELF,
    leader,
    store,
    commands: {
      updateAttributes: async (member) => {
        proposed.push(member)
        applyAttributes(store, member)
        return ok(undefined)
      },
    },
  }
  return { attributes: new Attributes(host), store, proposed, log }
}

test('other peer URLs than the cluster knows are told at the start, and then left to whoever changes them', async () => {
  const { attributes, store, proposed } = make(['https://m1:2380'])
  assert.equal(await attributes.publish(), true)
  assert.deepEqual(getMember(store, SELF), recordOf(SELF, 'https://m1:2380'))
  assert.equal(await attributes.publish(), true)
  assert.equal(proposed.length, 1)
  putMember(store, recordOf(SELF, 'https://elsewhere:2380'))
  assert.equal(await attributes.publish(), true)
  assert.equal(proposed.length, 1)
})

test('those of another member are not proposed, and stand in nobody’s way', async () => {
  const { attributes, proposed, log } = make(['http://m2:2380'])
  for (let i = 0; i < 3; i++) assert.equal(await attributes.publish(), true)
  assert.deepEqual(proposed, [])
  assert.equal(log.length, 1)
})

test('without peer URLs of its own, or without a leader, a member tells nothing of them', async () => {
  const silent = make(undefined)
  assert.equal(await silent.attributes.publish(), true)
  const led = make(['https://m1:2380'], NOBODY)
  assert.equal(await led.attributes.publish(), false)
  assert.deepEqual([silent.proposed, led.proposed], [[], []])
})
