/** --auto-tls and --peer-auto-tls: a certificate that the member makes for itself, once (etcd: transport.SelfCert). */
import { createPrivateKey, randomBytes } from 'node:crypto'
import { mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'

export interface SelfSignedFiles {
  readonly certFile: string
  readonly keyFile: string
}

const DAY_MS = 24 * 60 * 60 * 1000

/**
 * What is in the directory already stays, so that those who have come to trust the certificate go on doing so after a
 * restart. `hosts`: names and addresses that it is for. Throws when the directory cannot be written.
 */
export async function selfSignedFiles(
  directory: string,
  hosts: readonly string[],
  validityYears: number,
): Promise<SelfSignedFiles & { readonly isNew: boolean }> {
  const files = { certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') }
  const exists = await Promise.all(
    Object.values(files).map((path) =>
      stat(path).then(
        () => true,
        () => false,
      ),
    ),
  )
  if (exists.every(Boolean)) return { ...files, isNew: false }
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const { cert, key } = await makeSelfSigned(hosts, validityYears)
  // The key last: only both together count, so a crash in between leaves nothing that would be used.
  await writeNew(files.certFile, cert, 0o644)
  await writeNew(files.keyFile, key, 0o600)
  return { ...files, isNew: true }
}

async function writeNew(path: string, content: string, mode: number): Promise<void> {
  await writeFile(`${path}.tmp`, content, { mode, flush: true })
  await rename(`${path}.tmp`, path)
}

async function makeSelfSigned(
  hosts: readonly string[],
  validityYears: number,
): Promise<{ readonly cert: string; readonly key: string }> {
  // Both take half a second to load, and nobody else needs them.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' }
  const keys = await crypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify'])
  const notBefore = new Date()
  const { digitalSignature, keyEncipherment, cRLSign } = x509.KeyUsageFlags
  const names = [...new Set(hosts)].map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host }) as const)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(16).toString('hex'),
    name: 'O=etcd',
    notBefore,
    notAfter: new Date(notBefore.getTime() + validityYears * 365 * DAY_MS),
    signingAlgorithm,
    keys,
    extensions: [
      new x509.KeyUsagesExtension(digitalSignature | keyEncipherment | cRLSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.BasicConstraintsExtension(true, undefined, true),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ],
  })
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  return { cert: `${certificate.toString('pem')}\n`, key: key.export({ type: 'sec1', format: 'pem' }) }
}
