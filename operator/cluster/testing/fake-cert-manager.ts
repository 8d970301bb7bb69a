/** What cert-manager does with Certificates: it signs what they ask for into their Secrets, with an issuer's CA. */
import { randomBytes } from 'node:crypto'
import type { KubeObject } from '../ports.ts'
import { CERTIFICATE } from '../resources/certificate.ts'
import { isFor, type Pair } from '../tls/certificates.ts'
import { makeLeaf } from '../tls/issue.ts'
import { pairIn } from '../tls/secrets.ts'
import { TLS_FILES } from '../tls/leaves.ts'
import { authorityOf, putSecret } from './brought-secret.ts'
import { field } from './objects.ts'
import type { World } from './world.ts'

export function installCertManager(world: World): FakeCertManager {
  const certManager = new FakeCertManager(world)
  world.beside = async () => certManager.work()
  return certManager
}

export class FakeCertManager {
  /** Certificates that it does not issue, with what it says instead. */
  readonly refused = new Map<string, string>()
  readonly #world: World
  #authority: Pair | undefined

  constructor(world: World) {
    this.#world = world
  }

  /** It signs with another CA from here on; what is signed stays as it is. */
  changeIssuer(): void {
    this.#authority = undefined
  }

  /** As `cmctl renew` has it. */
  reissue(): void {
    for (const { metadata } of this.#world.all(CERTIFICATE.kind)) this.#world.objects.delete(`Secret/${metadata.name}`)
  }

  async work(): Promise<void> {
    for (const certificate of this.#world.all(CERTIFICATE.kind)) await this.#issue(certificate)
  }

  async #issue(certificate: KubeObject): Promise<void> {
    const { name } = certificate.metadata
    const message = this.refused.get(name)
    if (message !== undefined) return this.#say(certificate, 'False', message)
    const { dnsNames = [], ipAddresses = [], commonName, usages } = field(certificate, 'spec')
    const names = [dnsNames, ipAddresses].flatMap((list) => (Array.isArray(list) ? list.map(String) : []))
    const present = pairIn(this.#world.get('Secret', name), TLS_FILES)
    const { nowMs } = this.#world
    if (present !== undefined && isFor(present.certificate, names) && !isDue(present, nowMs)) return
    const making = { nowMs, randomBytes: (count: number) => randomBytes(count) }
    this.#authority ??= await authorityOf(making)
    const isServer = Array.isArray(usages) && usages.includes('server auth')
    const request = {
      secret: 'serverTls' as const,
      files: TLS_FILES,
      commonName: String(commonName),
      names,
      hosts: [],
      purposes: isServer ? ['serverAuth' as const] : [],
    }
    const leaf = await makeLeaf(request, this.#authority, making)
    const texts = { 'ca.crt': this.#authority.certificate.pem, 'tls.crt': leaf.certificate, 'tls.key': leaf.key }
    putSecret(this.#world, name, texts)
    this.#say(certificate, 'True', 'issued')
  }

  #say(certificate: KubeObject, status: string, message: string): void {
    this.#world.put({ ...certificate, status: { conditions: [{ type: 'Ready', status, message }] } })
  }
}

function isDue({ certificate: { notBeforeMs, notAfterMs } }: Pair, nowMs: number): boolean {
  return nowMs >= notAfterMs - (notAfterMs - notBeforeMs) / 3
}
