import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import { ClusterId, MemberId } from '../lib/ids.ts'
import { systemClock } from '../lib/system-clock.ts'
import { encodeJson } from './node/peer-requests.ts'
import { planStart } from './static-start.ts'
import { Transport } from './transport/transport.ts'

const OWN_URL = 'http://127.0.0.1:1'
const START = { kind: 'existing', token: '' } as const

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  await new Promise((resolve) => server.close(resolve))
  return address.port
}

/** A member that says that these are the peer URLs of the cluster's members. */
async function memberThatKnows(t: TestContext, peerURLs: readonly string[]): Promise<string> {
  const url = `http://127.0.0.1:${await freePort()}`
  const members = peerURLs.map((peerURL, i) => {
    return { id: String(i + 1), name: '', peerURLs: [peerURL], clientURLs: [], isLearner: false }
  })
  const ids = { clusterId: ClusterId(0xc1n), memberId: MemberId(1n) }
  const transport = await Transport.listen(
    { listenUrls: [url], ...ids, clock: systemClock },
    {
      onMessages: () => undefined,
      onSnapshot: async () => undefined,
      onRequest: async () => encodeJson({ kind: 'members', answer: { clusterId: 'c1', members } }),
      onUnreachable: () => undefined,
      onReachable: () => undefined,
      onRefused: () => undefined,
      isRemoved: () => false,
    },
  )
  t.after(() => transport.close())
  return url
}

const plan = (urls: readonly string[]): ReturnType<typeof planStart> =>
  planStart(
    { name: 'new', initialAdvertisePeerURLs: [OWN_URL] },
    { ...START, members: [...urls, OWN_URL].map((url, i) => ({ name: `m${i}`, peerURLs: [url] })) },
  )

test('who joins asks on where it is not known yet: that member may be behind, or joining itself', async (t) => {
  const behind = await memberThatKnows(t, ['http://127.0.0.1:2'])
  const knowing = await memberThatKnows(t, ['http://127.0.0.1:2', OWN_URL])
  const planned = await plan([behind, knowing])
  assert.ok(planned.ok, planned.ok ? '' : planned.error)
  assert.equal(planned.value.memberId, 2n)
  const refused = await plan([behind])
  assert.ok(!refused.ok)
  assert.match(
    refused.error,
    /^the cluster at .* add it first \(etcdctl member add new --peer-urls=http:\/\/127\.0\.0\.1:1\)$/,
  )
})
