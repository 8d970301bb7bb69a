import { PATIENCE_MS, until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { Client, credentials } from '@grpc/grpc-js'
import { ok } from '../../lib/result.ts'
import type { TlsOptions } from '../tls/options.ts'
import { makeAuthority, tlsOptions, type Authority, type Issued } from '../tls/testing/authority.ts'
import { send, type RpcObserver, type ServiceTable } from './service.ts'
import { ENGINES } from './testing/engines.ts'

const observer: RpcObserver = {
  method: () => ({ started: () => undefined, handled: () => undefined }),
  receivedBytes: () => undefined,
  sentBytes: () => undefined,
  failed: (_path, error) => assert.fail(String(error)),
}
const services: ServiceTable = {
  '/test.Echo/Now': { kind: 'unary', handle: (request) => ok(request) },
  '/test.Echo/Who': { kind: 'unary', handle: (_request, { commonName }) => ok(Buffer.from(commonName ?? 'nobody')) },
  '/test.Echo/Each': {
    kind: 'stream',
    handle: async (stream, { commonName }) => {
      for await (const request of stream.requests)
        await send(stream, Buffer.concat([request, Buffer.from(` ${commonName}`)]))
      return undefined
    },
  },
}

for (const engine of ENGINES) {
  describe(engine.name, () => {
    let directory: string
    let authority: Authority
    let server: Issued
    let alice: Issued
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'raftkv-tls-'))
      authority = await makeAuthority(directory)
      server = await authority.issue('server')
      alice = await authority.issue('alice', { hosts: ['alice.test', '127.0.0.1'] })
    })
    after(() => rm(directory, { recursive: true }))

    interface Served {
      readonly address: string
      readonly port: number
      readonly log: string[]
    }

    async function serve(
      t: TestContext,
      given: Partial<TlsOptions> = {},
      schemes: readonly string[] = ['https'],
    ): Promise<Served> {
      const log: string[] = []
      const write = (fields: object, message: string): number => log.push(`${message} ${JSON.stringify(fields)}`)
      const grpc = await engine.serve({
        listenURLs: schemes.map((scheme) => `${scheme}://127.0.0.1:0`),
        services,
        maxReceiveBytes: 4096,
        observer,
        log: { info: write, warn: write },
        tls: tlsOptions({ certFile: server.certFile, keyFile: server.keyFile, ...given }),
        handleRequest: (request, response) => response.end(`${request.httpVersion} ${request.url}`),
      })
      t.after(() => grpc.stop(0))
      const [address = ''] = grpc.addresses
      const port = Number(address.split(':')[1])
      // By name: as a client, too, the library sends an address as server name, which this Node refuses.
      return { address: `localhost:${port}`, port, log }
    }

    async function read(files: Issued | undefined): Promise<{ cert?: Buffer; key?: Buffer; ca: Buffer }> {
      const ca = await readFile(authority.caFile)
      return files === undefined
        ? { ca }
        : { ca, cert: await readFile(files.certFile), key: await readFile(files.keyFile) }
    }

    const same = (bytes: Buffer): Buffer => bytes
    async function secureClient(address: string, files?: Issued): Promise<Client> {
      const { ca, key = null, cert = null } = await read(files)
      return new Client(address, credentials.createSsl(ca, key, cert))
    }
    function call(client: Client, method: string, request = ''): Promise<string> {
      return new Promise((resolve) => {
        const options = { deadline: Date.now() + PATIENCE_MS }
        client.makeUnaryRequest(`/test.Echo/${method}`, same, same, Buffer.from(request), options, (error, answer) =>
          resolve(error === null ? (answer?.toString() ?? '') : `error ${error.code}`),
        )
      })
    }
    async function callOnce(address: string, method: string, files?: Issued): Promise<string> {
      const client = await secureClient(address, files)
      const answer = await call(client, method, 'x')
      client.close()
      return answer
    }

    /** What the server shows; undefined when it does not let us in. */
    async function handshake(
      port: number,
      options: ConnectionOptions = {},
    ): Promise<{ subject: string; cipher: string; protocol: string | null } | undefined> {
      const { ca } = await read(undefined)
      const socket = connectTls({ port, host: '127.0.0.1', ca, ALPNProtocols: ['h2'], ...options })
      try {
        await once(socket, 'secureConnect')
        const subject = socket.getPeerX509Certificate()?.subject ?? ''
        return { subject, cipher: socket.getCipher().name, protocol: socket.getProtocol() }
      } catch {
        return undefined
      } finally {
        socket.destroy()
      }
    }

    test('one TLS port serves gRPC, and HTTP/1.1 and HTTP/2 without gRPC', async (t) => {
      const { address, port } = await serve(t)
      assert.equal(await callOnce(address, 'Now'), 'x')
      const { ca } = await read(undefined)
      const request = httpsRequest({ port, host: '127.0.0.1', ca, path: '/version', agent: false }).end()
      const [response] = await once(request, 'response')
      assert.equal(String((await response.toArray()).join('')), '1.1 /version')
      const session = connectHttp2(`https://${address}`, { ca })
      const stream = session.request({ ':path': '/health' })
      assert.equal((await stream.toArray()).join(''), '2.0 /health')
      session.close()
    })

    test('HTTP/2 is agreed on by who offers both, and HTTP/1.1 works without any offer', async (t) => {
      const { port } = await serve(t)
      const { ca } = await read(undefined)
      const socket = connectTls({ port, host: '127.0.0.1', ca, ALPNProtocols: ['http/1.1', 'h2'] })
      await once(socket, 'secureConnect')
      assert.equal(socket.alpnProtocol, 'h2')
      socket.destroy()
      const mute = connectTls({ port, host: '127.0.0.1', ca })
      mute.end('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      assert.match((await mute.toArray()).join(''), /1\.1 \/livez/)
    })

    test('with an http and an https URL one address takes both; with one of them the other is refused', async (t) => {
      const plain = (port: number): Promise<string> => {
        const request = httpRequest({ port, host: '127.0.0.1', path: '/', agent: false }).end()
        return once(request, 'response').then(
          ([response]) => String(response.statusCode),
          () => 'refused',
        )
      }
      const both = await serve(t, {}, ['http', 'https'])
      assert.equal(await plain(both.port), '200')
      assert.equal(await callOnce(both.address, 'Now'), 'x')
      const secure = await serve(t, {}, ['https'])
      assert.equal(await plain(secure.port), 'refused')
      assert.match(
        secure.log.join('\n'),
        /rejected connection on client endpoint.*first record does not look like a TLS/,
      )
      const insecure = await serve(t, {}, ['http'])
      assert.equal(await handshake(insecure.port), undefined)
      assert.equal(await plain(insecure.port), '200')
    })

    test('https without a certificate is refused in words', async () => {
      const options = { listenURLs: ['https://127.0.0.1:0'], services, maxReceiveBytes: 1, observer }
      await assert.rejects(engine.serve(options), /TLS key\/cert \(--cert-file, --key-file\) must be provided/)
    })

    for (const given of [{ clientCertAuth: true }, {}]) {
      test(`with a CA, who shows no certificate or one of another CA stays out (${JSON.stringify(given)})`, async (t) => {
        const { address, port, log } = await serve(t, { trustedCaFile: authority.caFile, ...given })
        assert.equal(await callOnce(address, 'Who', alice), 'alice')
        assert.equal(await callOnce(address, 'Who'), 'error 14')
        const other = await makeAuthority(directory, 'other-ca')
        const mallory = await other.issue('mallory')
        assert.equal(await callOnce(address, 'Who', mallory), 'error 14')
        await until('both are logged', () => log.length >= 2)
        assert.match(log.join('\n'), /rejected connection on client endpoint .*peer did not return a certificate/)
        assert.match(
          log.join('\n'),
          /rejected connection on client endpoint .*127\.0\.0\.1:\d+.*UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
        )
        assert.equal(await callOnce(address, 'Who', alice), 'alice')
        assert.ok((await handshake(port, await read(alice))) !== undefined)
      })
    }

    test('where a certificate is optional, who shows none is nobody, and one that is shown must be good', async (t) => {
      const { address, log } = await serve(t, { trustedCaFile: authority.caFile, clientCertOptional: true })
      assert.equal(await callOnce(address, 'Who'), 'nobody')
      assert.equal(await callOnce(address, 'Who', alice), 'alice')
      const other = await makeAuthority(directory, 'optional-ca')
      assert.equal(await callOnce(address, 'Who', await other.issue('mallory')), 'error 14')
      assert.equal(await callOnce(address, 'Who', await authority.issue('late', { validDays: -1 })), 'error 14')
      assert.match(log.join('\n'), /rejected connection on client endpoint .*UNABLE_TO_VERIFY_LEAF_SIGNATURE/)
      assert.match(log.join('\n'), /rejected connection on client endpoint .*CERT_HAS_EXPIRED/)
    })

    test('client-cert-auth without a CA asks for certificates of the CAs of the machine', async (t) => {
      const { address } = await serve(t, { clientCertAuth: true })
      assert.equal(await callOnce(address, 'Who', alice), 'error 14')
    })

    test('a stream learns the common name of its client, a plain client has none', async (t) => {
      const { address } = await serve(t, { trustedCaFile: authority.caFile })
      const client = await secureClient(address, alice)
      const stream = client.makeBidiStreamRequest('/test.Echo/Each', same, same)
      stream.end(Buffer.from('I am'))
      const [answer] = await once(stream, 'data')
      assert.equal(String(answer), 'I am alice')
      client.close()
      const open = await serve(t)
      assert.equal(await callOnce(open.address, 'Who'), 'nobody')
    })

    test('an allowed common name lets in its owner only', async (t) => {
      const bob = await authority.issue('bob')
      const { address, log } = await serve(t, { trustedCaFile: authority.caFile, allowedCNs: ['carol', 'alice'] })
      assert.equal(await callOnce(address, 'Who', alice), 'alice')
      assert.equal(await callOnce(address, 'Who', bob), 'error 14')
      assert.match(log.join('\n'), /rejected connection on client endpoint.*client certificate authentication failed/)
    })

    test('an allowed hostname lets in certificates that are for it', async (t) => {
      const allowed = (allowedHostnames: string[]): Promise<Served> =>
        serve(t, { trustedCaFile: authority.caFile, allowedHostnames })
      assert.equal(await callOnce((await allowed(['alice.test'])).address, 'Who', alice), 'alice')
      assert.equal(await callOnce((await allowed(['bob.test'])).address, 'Who', alice), 'error 14')
      const wild = await authority.issue('wild', { hosts: ['*.wild.test'] })
      assert.equal(await callOnce((await allowed(['a.wild.test'])).address, 'Who', wild), 'wild')
      assert.equal(await callOnce((await allowed(['wild'])).address, 'Who', wild), 'error 14')
    })

    test('a revoked serial number stays out, from the moment that the list has it', async (t) => {
      const dave = await authority.issue('dave')
      const crlFile = await authority.revoke('list.crl', ['1234'])
      const { address, log } = await serve(t, { trustedCaFile: authority.caFile, crlFile })
      assert.equal(await callOnce(address, 'Who', dave), 'dave')
      const standing = await secureClient(address, dave)
      assert.equal(await call(standing, 'Who'), 'dave')
      await authority.revoke('list.crl', ['1234', dave.serialNumber])
      assert.equal(await callOnce(address, 'Who', dave), 'error 14')
      assert.match(log.join('\n'), /certificate serial [0-9a-f]+ revoked/)
      assert.equal(await callOnce(address, 'Who', alice), 'alice')
      assert.equal(await call(standing, 'Who'), 'dave', 'a connection that stands is not touched')
      standing.close()
      await writeFile(crlFile, 'no list at all')
      assert.equal(await callOnce(address, 'Who', alice), 'error 14', 'a list that cannot be read lets nobody in')
    })

    test('TLS 1.2 with a chosen suite, and nothing else', async (t) => {
      const rsa = await authority.issue('rsa', { isRsa: true })
      const { port } = await serve(t, {
        certFile: rsa.certFile,
        keyFile: rsa.keyFile,
        cipherSuites: ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384'],
        maxVersion: 'TLSv1.2',
      })
      assert.deepEqual(await handshake(port), {
        subject: 'CN=rsa',
        cipher: 'ECDHE-RSA-AES256-GCM-SHA384',
        protocol: 'TLSv1.2',
      })
      assert.equal(await handshake(port, { minVersion: 'TLSv1.3' }), undefined)
      assert.equal(await handshake(port, { ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }), undefined)
    })

    test('TLS 1.3 stays on beside chosen suites of 1.2, and can be asked for alone', async (t) => {
      const chosen = await serve(t, { cipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'] })
      assert.equal((await handshake(chosen.port))?.protocol, 'TLSv1.3')
      assert.equal((await handshake(chosen.port, { maxVersion: 'TLSv1.2' }))?.cipher, 'ECDHE-ECDSA-AES128-GCM-SHA256')
      const newest = await serve(t, { minVersion: 'TLSv1.3' })
      assert.equal((await handshake(newest.port))?.protocol, 'TLSv1.3')
      assert.equal(await handshake(newest.port, { maxVersion: 'TLSv1.2' }), undefined)
    })

    test('new connections get a certificate that was replaced; those that stand go on', async (t) => {
      const first = await authority.issue('turning', { commonName: 'first' })
      const { address, port, log } = await serve(t, { certFile: first.certFile, keyFile: first.keyFile })
      const standing = await secureClient(address)
      assert.equal(await call(standing, 'Now', 'before'), 'before')
      assert.equal((await handshake(port))?.subject, 'CN=first')

      const key = await readFile(first.keyFile)
      await authority.issue('turning', { commonName: 'second' })
      const newKey = await readFile(first.keyFile)
      await writeFile(first.keyFile, key) // half of the pair only
      assert.equal((await handshake(port))?.subject, 'CN=first')
      assert.match(log.at(-1) ?? '', /changed certificate files are not used.*does not belong to the certificate/)
      await writeFile(first.keyFile, newKey)
      assert.equal((await handshake(port))?.subject, 'CN=second')
      assert.equal(await call(standing, 'Now', 'after'), 'after')
      standing.close()

      await rm(first.certFile)
      assert.equal((await handshake(port))?.subject, 'CN=second', 'a file that is gone changes nothing')
    })

    test('a CA that is replaced counts from the next connection on', async (t) => {
      const turning = await makeAuthority(directory, 'turning-ca')
      const { address } = await serve(t, { trustedCaFile: turning.caFile })
      assert.equal(await callOnce(address, 'Who', alice), 'error 14')
      await writeFile(turning.caFile, await readFile(authority.caFile))
      assert.equal(await callOnce(address, 'Who', alice), 'alice')
    })

    test('a handshake that does not go on ends, and hurts nobody', async (t) => {
      const { address, port } = await serve(t)
      const stuck = connectPlain(port, '127.0.0.1')
      stuck.write(Buffer.from('160301', 'hex'))
      assert.equal(await callOnce(address, 'Now'), 'x')
      const nonsense = connectPlain(port, '127.0.0.1').on('error', () => undefined)
      nonsense.end(Buffer.concat([Buffer.from('1603010040', 'hex'), Buffer.alloc(64, 7)]))
      await once(nonsense.resume(), 'close')
      assert.equal(await callOnce(address, 'Now'), 'x')
      stuck.destroy()
    })
  })
}
