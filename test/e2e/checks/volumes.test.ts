import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkVolumes, type VolumeSeen } from './volumes.ts'

const seen = (atMs: number, ordinal: number, uid: string, isGoing: boolean): VolumeSeen => ({
  atMs,
  name: `data-m-${ordinal}`,
  uid,
  isGoing,
})
const removed = (atMs: number, ordinal: number) => ({ atMs, memberId: `id${ordinal}`, memberName: `m-${ordinal}` })
const check = (volumes: VolumeSeen[], removals: ReturnType<typeof removed>[]): string =>
  checkVolumes(volumes, removals, (member) => `data-${member}`).join('\n')

test('each removal takes its volume afterwards, also of a name that is used again', () => {
  const volumes = [seen(1, 3, 'u1', false), seen(20, 3, 'u1', true), seen(21, 3, 'u1', true), seen(50, 3, 'u2', true)]
  assert.equal(check(volumes, [removed(10, 3), removed(40, 3)]), '')
})

test('found out: a volume that went too early, without a removal, or not at all', () => {
  assert.match(check([seen(5, 3, 'u1', true)], [removed(10, 3)]), /went 5 ms before its member id3 was removed/)
  assert.match(check([seen(5, 0, 'u1', true)], []), /data-m-0 \(u1\) went, though its member was not removed/)
  assert.match(
    check([seen(5, 3, 'u1', false)], [removed(1, 3)]),
    /id3 was removed, yet its volume data-m-3 is still there/,
  )
})
