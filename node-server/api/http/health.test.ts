import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemberId, NOBODY } from '../../../lib/ids.ts'
import type { Alarm } from './health.ts'
import { serve } from './testing/http-fixture.ts'

const NOSPACE = { memberId: 1n, kind: 'NOSPACE' } as const
const CORRUPT = { memberId: 1n, kind: 'CORRUPT' } as const
const OWN_ID = MemberId(0x8e9e05c52164694dn)

test('/health of a member that can read', async () => {
  const { get, checks, member } = await serve()
  const answer = await get('/health')
  assert.deepEqual([answer.status, answer.body], [200, '{"health":"true","reason":""}'])
  assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
  assert.deepEqual([checks, member.barriers], [['health OK'], 1])
})

test('/health tells why not; a serializable one asks this member only', async () => {
  const { get, member, checks } = await serve()
  member.problem = 'timeout'
  let answer = await get('/health')
  const reason = 'RANGE ERROR:etcdserver: request timed out'
  assert.deepEqual([answer.status, answer.body], [503, `{"health":"false","reason":"${reason}"}\n`])
  assert.equal(answer.headers['x-content-type-options'], 'nosniff')
  member.leader = NOBODY
  answer = await get('/health?serializable=false')
  assert.deepEqual([answer.status, answer.body], [503, '{"health":"false","reason":"RAFT NO LEADER"}\n'])
  assert.equal((await get('/health?serializable=true')).status, 200)
  assert.deepEqual(checks, ['health FAILED', 'health FAILED', 'health OK'])
})

test('an alarm makes /health false unless it is excluded', async () => {
  const alarms = [NOSPACE, CORRUPT]
  const { get } = await serve({ health: { alarms: () => alarms, observer: SILENT } })
  const bodyOf = async (query: string): Promise<string> => (await get(`/health${query}`)).body
  assert.equal(await bodyOf('?serializable=true'), '{"health":"false","reason":"ALARM NOSPACE"}\n')
  assert.equal(await bodyOf('?exclude=NOSPACE'), '{"health":"false","reason":"ALARM CORRUPT"}\n')
  assert.equal(await bodyOf('?exclude=nospace&exclude='), '{"health":"false","reason":"ALARM NOSPACE"}\n')
  assert.equal(await bodyOf('?exclude=NOSPACE&exclude=CORRUPT'), '{"health":"true","reason":""}')
})
const SILENT = { health: () => undefined, check: () => undefined }

test('/livez reads here, /readyz reads through the cluster; each check has a path of its own', async () => {
  const { get, checks } = await serve()
  const bodyOf = async (path: string): Promise<[number, string]> => {
    const { status, body } = await get(path)
    return [status, body]
  }
  assert.deepEqual(await bodyOf('/livez'), [200, 'ok\n'])
  assert.deepEqual(await bodyOf('/livez?verbose'), [200, '[+]serializable_read ok\nok\n'])
  assert.deepEqual(await bodyOf('/livez/serializable_read'), [200, 'ok\n'])
  assert.deepEqual(await bodyOf('/readyz?verbose=1'), [
    200,
    '[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n',
  ])
  assert.deepEqual(await bodyOf('/readyz/non_learner?verbose'), [200, '[+]non_learner ok\nok\n'])
  assert.deepEqual(await bodyOf('/livez/linearizable_read'), [404, '404 page not found\n'])
  assert.deepEqual(
    checks.slice(0, 3),
    Array.from({ length: 3 }, () => 'livez serializable_read OK'),
  )
  assert.equal(checks.length, 8)
})

test('/readyz names what failed, and passes without the checks that are excluded', async () => {
  const { get, member, checks } = await serve({})
  member.problem = 'no-leader'
  member.isLearner = true
  let answer = await get('/readyz')
  assert.deepEqual(
    [answer.status, answer.body],
    [
      503,
      '[+]data_corruption ok\n[+]serializable_read ok\n[-]linearizable_read failed: etcdserver: no leader\n' +
        '[-]non_learner failed: not supported for learner\n\n',
    ],
  )
  assert.ok(checks.includes('readyz linearizable_read FAILED'))
  answer = await get('/readyz?exclude=linearizable_read&exclude=non_learner&exclude=nope')
  assert.deepEqual([answer.status, answer.body], [200, 'ok\n'])
  assert.equal((await get('/readyz/linearizable_read')).status, 503)
  assert.equal((await get('/livez')).status, 200)
  member.leader = OWN_ID
})

test('of the alarms only CORRUPT makes a member not ready', async () => {
  const alarms: Alarm[] = [NOSPACE]
  const { get } = await serve({ health: { alarms: () => alarms, observer: SILENT } })
  assert.equal((await get('/readyz')).status, 200)
  alarms.push(CORRUPT)
  const answer = await get('/readyz/data_corruption')
  assert.deepEqual([answer.status, answer.body], [503, '[-]data_corruption failed: alarm activated: CORRUPT\n\n'])
})

test('only GET is allowed', async () => {
  const { ask } = await serve()
  for (const path of ['/health', '/livez', '/readyz', '/readyz/non_learner', '/version']) {
    const answer = await ask('POST', path)
    assert.deepEqual([answer.status, answer.body, answer.headers.allow], [405, 'Method Not Allowed\n', 'GET'], path)
    assert.equal((await ask('HEAD', path)).status, 405)
  }
})
