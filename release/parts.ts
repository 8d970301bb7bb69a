/** What a release is made of. Each part writes files into its folder by the program that is meant for it. */
import { chmodSync, copyFileSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outputOf, works } from './run.ts'
import { shipped } from './shipped.ts'

export interface Place {
  readonly root: string
  /** The release's folder. */
  readonly out: string
  readonly version: string
  /** Commit that it is made from. */
  readonly revision: string
}

interface Part {
  readonly make: (place: Place) => void
  /** Programs that it needs and that are not here, in sentences. */
  readonly missing?: () => readonly string[]
}

export const PARTS: Readonly<Record<string, Part>> = {
  crds: { make: crds },
  plugin: { make: plugin },
  sbom: { make: sbom },
  charts: {
    make: charts,
    missing: () => (works('helm', 'version') ? [] : ['the charts need helm; --without charts leaves them out']),
  },
  // The longest last.
  image: {
    make: image,
    missing: () =>
      works('docker', 'buildx', 'version')
        ? []
        : ['the image needs docker with buildx, and QEMU for the other architecture; --without image leaves it out'],
  },
}

const read = (...path: readonly string[]): string => readFileSync(join(...path), 'utf8')

const PLATFORMS = 'linux/amd64,linux/arm64'

/** All in one file: `kubectl apply --server-side -f`. */
function crds({ root, out, version }: Place): void {
  const files = globSync('crds/*.yaml', { cwd: root }).toSorted()
  const texts = files.map((file) => read(root, file))
  writeFileSync(join(out, `raftkv-crds-${version}.yaml`), texts.join('---\n'))
}

/** As a program, and as a package of npm that is the same file. */
function plugin({ root, out }: Place): void {
  outputOf(join(root, 'cli'), 'npm', 'pack', '--pack-destination', out)
  const program = join(out, 'kubectl-raft')
  copyFileSync(join(root, 'cli', 'dist', 'kubectl-raft.js'), program)
  chmodSync(program, 0o755)
}

/** Of the packages of npm in the image. What it has of Debian is in the image's own, which buildx attaches. */
function sbom({ root, out, version }: Place): void {
  const { manifest, lock } = shipped(read(root, 'package.json'), read(root, 'package-lock.json'))
  const scratch = mkdtempSync(join(tmpdir(), 'raftkv-sbom-'))
  try {
    // npm calls a package that is private by its folder.
    const folder = join(scratch, 'raftkv')
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), manifest)
    writeFileSync(join(folder, 'package-lock.json'), lock)
    const format = ['--sbom-format=cyclonedx', '--sbom-type=application']
    const text = outputOf(folder, 'npm', 'sbom', '--package-lock-only', ...format)
    writeFileSync(join(out, `raftkv-${version}.cdx.json`), text)
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

function charts({ root, out }: Place): void {
  for (const chart of ['raftkv-operator', 'raft-cluster'])
    outputOf(root, 'helm', 'package', join('charts', chart), '--destination', out)
}

/** An OCI archive of both architectures: `skopeo copy --all oci-archive:FILE docker://REGISTRY/raftkv:VERSION` publishes it. */
function image(place: Place): void {
  outputOf(place.root, 'docker', ...imageArguments(place))
}

export function imageArguments({ root, out, version, revision }: Place): readonly string[] {
  const labels = { title: 'raftkv', version, revision, licenses: 'Apache-2.0' }
  const destination = join(out, `raftkv-${version}-image.tar`)
  return [
    'buildx',
    'build',
    `--platform=${PLATFORMS}`,
    ...Object.entries(labels).map(([name, value]) => `--label=org.opencontainers.image.${name}=${value}`),
    '--sbom=true',
    '--provenance=mode=max',
    `--output=type=oci,dest=${destination}`,
    root,
  ]
}
