import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from './options.ts'
import { summaryText } from './summary.ts'

const parsed = (...args: readonly string[]): unknown => {
  const result = parseOptions(args, '/default')
  return result.ok ? result.value : result.error
}

test('flags and their defaults', () => {
  assert.deepEqual(parsed(), { isFresh: false, isDemo: false, isPlain: false, port: 26_443, directory: '/default' })
  assert.deepEqual(parsed('--fresh', '--demo', '--plain', '--port', '0', '--directory=/x=y'), {
    isFresh: true,
    isDemo: true,
    isPlain: true,
    port: 0,
    directory: '/x=y',
  })
  assert.equal(parsed('--fresh', '--help'), 'help')
})

test('what is wrong is named', () => {
  assert.equal(parsed('--frsh'), "there is no flag '--frsh'")
  assert.equal(parsed('--port', 'x'), "--port must be a number from 0 to 65535, not 'x'")
  assert.equal(parsed('--port=65536'), "--port must be a number from 0 to 65535, not '65536'")
  assert.equal(parsed('--directory'), '--directory must name a directory')
})

test('the lines to paste name every member, delete the leader, and say what is not installed', () => {
  const members = [
    { name: 'demo-0', address: '127.77.1.1', isLeader: false },
    { name: 'demo-1', address: '127.77.1.2', isLeader: true },
  ]
  const all = {
    kubeconfig: '/k',
    page: 'http://127.77.0.1:8082',
    members,
    tls: { ca: '/c/ca.crt', cert: '/c/tls.crt', key: '/c/tls.key' },
  }
  const text = summaryText({ ...all, installed: new Set(['kubectl', 'etcdctl']) })
  const endpoints = 'https://127.77.1.1:2379,https://127.77.1.2:2379'
  const files = '--cacert=/c/ca.crt --cert=/c/tls.crt --key=/c/tls.key'
  assert.ok(text.includes(`  etcdctl --endpoints=${endpoints} ${files} put hello world\n`), text)
  assert.match(text, /kubectl delete pod demo-1 /)
  assert.match(text, /in a browser: http:\/\/127\.77\.0\.1:8082\n/)
  assert.doesNotMatch(text, /not installed/)
  const bare = summaryText({ ...all, installed: new Set() })
  assert.match(bare, /kubectl is not installed/)
  assert.match(bare, /curl --cacert \/c\/ca\.crt .* https:\/\/127\.77\.1\.1:2379\/v3\/kv\/put/)
  const plain = summaryText({ ...all, tls: undefined, installed: new Set(['etcdctl']) })
  assert.match(plain, /etcdctl --endpoints=http:\/\/127\.77\.1\.1:2379,http:\/\/127\.77\.1\.2:2379 put hello world/)
})
