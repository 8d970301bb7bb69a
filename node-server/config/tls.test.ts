import assert from 'node:assert/strict'
import { test } from 'node:test'
import { err, ok } from '../../lib/result.ts'
import { tlsOptions } from '../tls/testing/authority.ts'
import { parseConfig, type Parsed } from './parse.ts'

const parse = (...args: readonly string[]): Parsed => parseConfig(args, {}, () => err('no files'))

function run(...args: readonly string[]): Extract<Parsed, { kind: 'run' }> {
  const parsed = parse(...args)
  assert.ok(parsed.kind === 'run', JSON.stringify(parsed))
  return parsed
}

const DEFAULTS = tlsOptions()
const HTTPS = ['--listen-client-urls=https://127.0.0.1:2379', '--advertise-client-urls=https://127.0.0.1:2379']
const CERT = ['--cert-file=c', '--key-file=k']

test('each side has what its flags say, and what both share', () => {
  const { config, warnings } = run(
    ...HTTPS,
    ...CERT,
    '--client-cert-file=cc',
    '--client-key-file=ck',
    '--trusted-ca-file=ca',
    '--client-cert-auth',
    '--client-crl-file=crl',
    '--client-cert-allowed-hostname=a.example, b.example',
    '--listen-peer-urls=https://127.0.0.1:2380',
    '--peer-auto-tls',
    '--peer-cert-allowed-cn=member',
    '--peer-skip-client-san-verification',
    '--peer-crl-file=pcrl',
    '--self-signed-cert-validity=3',
    '--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
    '--tls-max-version=TLS1.3',
  )
  const common = {
    selfSignedCertValidity: 3,
    cipherSuites: ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'],
    maxVersion: 'TLSv1.3',
  }
  assert.deepEqual(warnings, [])
  assert.deepEqual(config.clientTls, {
    ...DEFAULTS,
    ...common,
    certFile: 'c',
    keyFile: 'k',
    clientCertFile: 'cc',
    clientKeyFile: 'ck',
    trustedCaFile: 'ca',
    clientCertAuth: true,
    crlFile: 'crl',
    allowedHostnames: ['a.example', 'b.example'],
  })
  assert.deepEqual(config.peerTls, {
    ...DEFAULTS,
    ...common,
    crlFile: 'pcrl',
    allowedCNs: ['member'],
    autoTls: true,
    skipClientSanVerification: true,
  })
})

test('a side without a flag of its own has no TLS, whatever versions are given', () => {
  const { config } = run('--tls-min-version=TLS1.3', ...HTTPS, ...CERT)
  assert.equal(config.peerTls, undefined)
  assert.equal(config.clientTls?.minVersion, 'TLSv1.3')
})

test('what does not go together is refused', () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [HTTPS, /^--listen-client-urls: 'https:\/\/127.0.0.1:2379' needs a certificate and its key: give --cert-file and/],
    [['--listen-metrics-urls=https://127.0.0.1:1'], /^--listen-metrics-urls: .* needs a certificate/],
    [['--listen-client-http-urls=unixs:///tmp/s'], /^--listen-client-http-urls: .* needs a certificate/],
    [
      ['--listen-peer-urls=https://127.0.0.1:1', '--peer-client-cert-auth'],
      /give --peer-cert-file and --peer-key-file/,
    ],
    [['--listen-admin-urls=https://127.0.0.1:1'], /^--listen-admin-urls: .* needs a certificate/],
    [[...CERT, '--client-cert-optional'], /^--client-cert-optional: needs --trusted-ca-file/],
    [
      [...CERT, '--trusted-ca-file=ca', '--client-cert-auth', '--client-cert-optional'],
      /^--client-cert-optional: not together with --client-cert-auth/,
    ],
    [['--cert-file=c'], /^--key-file: required with --cert-file/],
    [['--key-file=c'], /^--cert-file: required with --key-file/],
    [[...CERT, '--client-cert-file=c'], /^--client-key-file: required with --client-cert-file/],
    [['--peer-cert-allowed-cn=a', '--peer-cert-allowed-hostname=b'], /^--peer-cert-allowed-cn: not together with/],
    [['--tls-min-version=TLS1.3', '--tls-max-version=TLS1.2'], /^--tls-min-version: it is greater than/],
    [['--tls-min-version=TLS1.3', '--cipher-suites=x'], /^--cipher-suites: cipher suites cannot be chosen for TLS 1.3/],
    [['--tls-min-version=TLS1.1'], /^--tls-min-version: 'TLS1.1' is none of TLS1.2, TLS1.3/],
    [['--self-signed-cert-validity=0', '--auto-tls'], /^--self-signed-cert-validity: '0' is not/],
  ]
  for (const [args, expected] of cases) {
    const parsed = parse(...args)
    assert.ok(parsed.kind === 'refused', args.join(' '))
    assert.equal(parsed.problems.length, 1, parsed.problems.join('; '))
    assert.match(parsed.problems.join(), expected)
  }
})

test('the admin API takes either scheme or both, with the certificates of the client side', () => {
  const urls = ['http://127.0.0.1:1', 'https://127.0.0.1:1']
  const { config } = run(
    `--listen-admin-urls=${urls.join(',')}`,
    ...CERT,
    '--trusted-ca-file=ca',
    '--client-cert-optional',
  )
  assert.deepEqual(config.listenAdminURLs, urls)
  assert.deepEqual([config.clientTls?.clientCertAuth, config.clientTls?.clientCertOptional], [false, true])
})

test('one port may serve with and without TLS; unix sockets serve clients, peers and metrics', () => {
  const urls = 'http://127.0.0.1:2379,https://127.0.0.1:2379,unix:///run/a.sock,unixs://localhost:7'
  const { config } = run(`--listen-client-urls=${urls}`, '--advertise-client-urls=unix:///run/a.sock', ...CERT)
  assert.deepEqual(config.listenClientURLs, urls.split(','))
  assert.deepEqual(config.advertiseClientURLs, ['unix:///run/a.sock'])
  const peers = run(
    '--listen-peer-urls=unix://localhost:8',
    '--initial-advertise-peer-urls=unix://localhost:8',
    '--initial-cluster=default=unix://localhost:8',
    '--listen-metrics-urls=unix:///run/metrics.sock',
  )
  assert.deepEqual(peers.config.initialAdvertisePeerURLs, ['unix://localhost:8'])
  const taken = parse(
    `--listen-client-urls=${urls}`,
    '--advertise-client-urls=http://a:1',
    ...CERT,
    '--listen-client-http-urls=http://127.0.0.1:2379',
  )
  assert.ok(taken.kind === 'refused')
  assert.match(taken.problems.join(), /^--listen-client-http-urls: .* is in --listen-client-urls as well/)
})

test('a configuration file has TLS in its blocks, and may listen without advertising', () => {
  const file = [
    'listen-client-urls: https://127.0.0.1:1',
    'client-transport-security: {cert-file: c, key-file: k, client-cert-auth: true, trusted-ca-file: ca}',
    'peer-transport-security: {auto-tls: true}',
  ].join('\n')
  const parsed = parseConfig(['--config-file', '/etc/etcd.yaml'], { ETCD_NAME: 'x' }, (path) =>
    path === '/etc/etcd.yaml' ? ok(file) : err(path),
  )
  assert.ok(parsed.kind === 'run', JSON.stringify(parsed))
  assert.equal(parsed.config.name, 'default')
  assert.equal(parsed.config.clientTls?.trustedCaFile, 'ca')
  assert.equal(parsed.config.peerTls?.autoTls, true)
  assert.match(parsed.warnings[0] ?? '', /the configuration is that of \/etc\/etcd.yaml/)
})
