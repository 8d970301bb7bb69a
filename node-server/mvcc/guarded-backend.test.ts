import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreDamaged, type Write } from './backend.ts'
import { MemoryBackend } from './memory-backend.ts'
import { Store } from './store.ts'
import { put } from './testing/requests.ts'

const KEY = Buffer.from('k')
const DAMAGE = new StoreDamaged('file 3, block 7', 'another checksum')

async function storeOf(rows: number): Promise<{ store: Store; backend: MemoryBackend; told: string[] }> {
  const backend = new MemoryBackend()
  const writes = Array.from({ length: rows }, (_, i): Write => {
    return { table: 'members', key: Buffer.of(1 + i), value: Buffer.from('v') }
  })
  await backend.commit(writes)
  const store = new Store(backend)
  const told: string[] = []
  store.onDamaged = ({ where }) => told.push(where)
  return { store, backend, told }
}

const WAYS: Readonly<Record<string, (store: Store) => unknown>> = {
  get: ({ backend }) => backend.get('members', KEY),
  scan: ({ backend }) => [...backend.scan('members', Buffer.of(0), undefined)],
  count: ({ backend }) => backend.count('members', Buffer.of(0), undefined),
  commit: ({ backend }) => backend.commit([]),
  pin: ({ backend }) => backend.pin(),
}

for (const [way, use] of Object.entries(WAYS))
  test(`a ${way} that finds the store damaged tells of it once, and nothing is given of it from then on`, async () => {
    const { store, backend, told } = await storeOf(3)
    assert.doesNotThrow(() => store.backend.get('members', KEY))
    backend.damage = DAMAGE
    await assert.rejects(async () => use(store), DAMAGE)
    backend.damage = undefined
    for (const next of Object.values(WAYS)) await assert.rejects(async () => next(store), DAMAGE)
    assert.deepEqual(told, ['file 3, block 7'])
  })

test('a scan under way ends where the damage was found, also by another reader', async () => {
  const { store, backend } = await storeOf(3)
  const rows = store.backend.scan('members', Buffer.of(0), undefined)[Symbol.iterator]()
  assert.equal(rows.next().done, false)
  backend.damage = DAMAGE
  assert.throws(() => store.backend.get('members', KEY), DAMAGE)
  assert.throws(() => rows.next(), DAMAGE)
})

test('other failures are passed on and say nothing of damage', async () => {
  const backend = new MemoryBackend({ beforeCommit: () => Promise.reject(new Error('EIO')) })
  const store = new Store(backend)
  store.onDamaged = () => assert.fail('it is not damaged')
  put(store, 'a', '1')
  await assert.rejects(store.commit(), /EIO/)
})

test('a damaged store is closed without a commit', async () => {
  const { store, backend } = await storeOf(1)
  put(store, 'a', '1')
  backend.damage = DAMAGE
  const committed = store.commit()
  await store.close()
  await assert.rejects(committed, DAMAGE)
})
