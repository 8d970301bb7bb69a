import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Waiters } from './waiters.ts'

function setUp(): { waiters: Waiters<string>; answers: string[]; add: (id: bigint, deadlineMs: number) => void } {
  const waiters = new Waiters<string>(3)
  const answers: string[] = []
  const add = (id: bigint, deadlineMs: number): void =>
    waiters.add({ requestId: id, resolve: (answer) => answers.push(`${id}:${answer}`), deadlineMs, late: () => 'late' })
  return { waiters, answers, add }
}

test('each waiter is settled exactly once, by its entry, its deadline or the end', () => {
  const { waiters, answers, add } = setUp()
  add(1n, 10)
  add(2n, 20)
  add(3n, 30)
  assert.equal(waiters.isFull, true)
  assert.equal(waiters.settle(2n, 'applied'), true)
  assert.equal(waiters.settle(2n, 'applied'), false)
  assert.equal(waiters.expire(9), 0)
  assert.equal(waiters.expire(10), 1)
  waiters.settleAll('stopped')
  assert.deepEqual(answers, ['2:applied', '1:late', '3:stopped'])
  assert.equal(waiters.size, 0)
})

test('after a change of leader those that wait get less time, those that come later their own', () => {
  const { waiters, answers, add } = setUp()
  add(1n, 100)
  add(2n, 105)
  waiters.hasten(50)
  add(3n, 110)
  assert.equal(waiters.expire(50), 2)
  assert.equal(waiters.expire(110), 1)
  assert.deepEqual(answers, ['1:late', '2:late', '3:late'])
})

test('IDs are told apart although they end alike, and those that nobody waits for may lie in between', () => {
  const { waiters, answers, add } = setUp()
  const high = 2n ** 50n
  add(high + 1n, 10)
  add(high + 9n, 20)
  assert.equal(waiters.settle(1n, 'applied'), false)
  assert.equal(waiters.has(high + 2n ** 32n + 9n), false)
  assert.equal(waiters.expire(10), 1)
  assert.equal(waiters.expire(20), 1)
  assert.deepEqual(answers, [`${high + 1n}:late`, `${high + 9n}:late`])
})
