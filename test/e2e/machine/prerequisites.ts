/** What the machine must have; Debian packages that are missing are installed. */
import { existsSync } from 'node:fs'
import { run, isInstalled } from '../process.ts'
import type { Report } from '../report.ts'

/** A program and the Debian package that brings it. */
const PACKAGES: Readonly<Record<string, string>> = {
  dockerd: 'docker.io',
  containerd: 'containerd',
  runc: 'runc',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  iptables: 'iptables',
  conntrack: 'conntrack',
  mmdebstrap: 'mmdebstrap',
  openssl: 'openssl',
  ip: 'iproute2',
  mount: 'mount',
  gcc: 'gcc',
  '/usr/include/stdlib.h': 'libc6-dev',
}

export async function ensurePrerequisites(report: Report): Promise<void> {
  if (process.platform !== 'linux') throw new Error(`the local Kubernetes needs Linux, this is ${process.platform}`)
  if (process.getuid?.() !== 0) {
    throw new Error(
      'the local Kubernetes needs root (namespaces, mounts, iptables): run it as root, or set KUBECONFIG and RAFTKV_E2E_IMAGE',
    )
  }
  if (!(await isInstalled('go')))
    throw new Error('Go 1.26 or newer is needed to build Kubernetes, etcd and helm: no `go` in PATH')
  if (!(await isInstalled('npm'))) throw new Error('npm is needed to build the image: no `npm` in PATH')
  const missing: string[] = []
  for (const [program, name] of Object.entries(PACKAGES)) {
    if (!(await isPresent(program))) missing.push(name)
  }
  if (missing.length === 0) return
  if (!(await isInstalled('apt-get')))
    throw new Error(`no apt-get to install with; install ${missing.join(', ')} yourself`)
  report.note(`installing the Debian packages ${missing.join(', ')}`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  await run(['apt-get', 'update', '-qq'], { env })
  await run(['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...missing], { env })
  for (const [program, name] of Object.entries(PACKAGES)) {
    if (!(await isPresent(program))) throw new Error(`package ${name} is installed, yet ${program} is not there`)
  }
}

/** A program in PATH, or a path. */
async function isPresent(program: string): Promise<boolean> {
  return program.startsWith('/') ? existsSync(program) : isInstalled(program)
}
