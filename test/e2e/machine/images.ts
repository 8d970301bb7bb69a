/**
 * The images that the box needs, as tar files in the cache. No public image is pulled: the base comes from Debian's
 * packages, and a stand-in for `node:26-bookworm-slim` from it and the Node that runs this.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createHash } from 'node:crypto'
import { run } from '../process.ts'
import type { Report } from '../report.ts'
import { withDocker, type Docker } from './docker.ts'
import { EARLIER_COMMIT, unpackEarlierRelease } from './earlier-release.ts'

export const PAUSE_IMAGE = 'localhost/raftkv-e2e/pause:1'
export const PROJECT_IMAGE = 'localhost/raftkv:e2e'
/** The release before: what an upgrade begins with. */
export const EARLIER_TAG = 'e2e-earlier'
const EARLIER_IMAGE = `localhost/raftkv:${EARLIER_TAG}`
const BASE_IMAGE = 'localhost/raftkv-e2e/base:bookworm'
const NODE_IMAGE = 'localhost/raftkv-e2e/node:26'
const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt'
/** Node 26 does not start without libatomic1. */
const BASE_PACKAGES = 'ca-certificates,libatomic1,libstdc++6'

const PAUSE_SOURCE = '#include <unistd.h>\nint main(void) { for (;;) pause(); }\n'
const PAUSE_DOCKERFILE = 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n'
const NODE_DOCKERFILE = `FROM ${BASE_IMAGE}
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY npmrc /usr/local/etc/npmrc
COPY ca-certificates.crt ${CA_BUNDLE}
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && useradd --uid 1000 --create-home node
`

export interface Images {
  /** Paths of the tar files to load into the cluster's nodes. */
  readonly tars: readonly string[]
  /** Folder of the release before, with its charts. */
  readonly earlier: string
}

export async function buildImages(report: Report, root: string, cache: string): Promise<Images> {
  const folder = join(cache, 'images')
  mkdirSync(folder, { recursive: true })
  const earlier = await unpackEarlierRelease(report, root, folder)
  const base = join(folder, 'base.tar')
  if (!existsSync(base)) {
    await report.step('build the base image from Debian packages', async () => {
      const unfinished = join(folder, 'unfinished.tar')
      await run(['mmdebstrap', '--quiet', '--variant=minbase', `--include=${BASE_PACKAGES}`, 'bookworm', unfinished])
      renameSync(unfinished, base)
    })
  }
  return report.step('build the images (pause, Node 26, raftkv and its release before)', () =>
    withDocker(cache, async (docker) => {
      await ensureImage(docker, PAUSE_IMAGE, PAUSE_SOURCE + PAUSE_DOCKERFILE, () => buildPause(docker, folder))
      await ensureImage(docker, BASE_IMAGE, BASE_PACKAGES, async () => {
        await docker(['import', base, BASE_IMAGE])
      })
      const npmrc = await npmSettings()
      const node = NODE_DOCKERFILE + npmrc + process.version + (await run(['npm', '--version']))
      await ensureImage(docker, NODE_IMAGE, node, () => buildNode(docker, folder, npmrc))
      await buildProject(docker, PROJECT_IMAGE, root)
      if (earlier === root) await docker(['tag', PROJECT_IMAGE, EARLIER_IMAGE])
      else
        await ensureImage(docker, EARLIER_IMAGE, EARLIER_COMMIT + node, () =>
          buildProject(docker, EARLIER_IMAGE, earlier),
        )
      const tars = [
        await save(docker, folder, [PAUSE_IMAGE]),
        await save(docker, folder, [PROJECT_IMAGE, EARLIER_IMAGE]),
      ]
      return { tars, earlier }
    }),
  )

  /** Builds an image unless the one there was made from the same ingredients. */
  async function ensureImage(docker: Docker, image: string, from: string, build: () => Promise<void>): Promise<void> {
    const stamp = join(folder, `${fileName(image)}.from`)
    const digest = createHash('sha256').update(from).digest('hex')
    const isThere = (await docker(['image', 'ls', '-q', image])).trim() !== ''
    if (isThere && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return
    await build()
    writeFileSync(stamp, digest)
  }
}

async function buildProject(docker: Docker, image: string, root: string): Promise<void> {
  const node = ['--build-arg', `NODE_IMAGE=${NODE_IMAGE}`]
  await docker(['build', '--network=host', ...proxyArguments(), ...node, '-t', image, root])
}

async function buildPause(docker: Docker, folder: string): Promise<void> {
  const context = freshFolder(folder, 'pause')
  writeFileSync(join(context, 'pause.c'), PAUSE_SOURCE)
  writeFileSync(join(context, 'Dockerfile'), PAUSE_DOCKERFILE)
  await run(['gcc', '-static', '-O2', '-o', join(context, 'pause'), join(context, 'pause.c')])
  await docker(['build', '-t', PAUSE_IMAGE, context])
}

async function buildNode(docker: Docker, folder: string, npmrc: string): Promise<void> {
  if (!process.version.startsWith('v26.')) throw new Error(`the image needs Node 26, this is ${process.version}`)
  const context = freshFolder(folder, 'node')
  cpSync(realpathSync(process.execPath), join(context, 'node'))
  const npm = realpathSync((await run(['sh', '-c', 'command -v npm'])).trim())
  cpSync(join(dirname(npm), '..'), join(context, 'npm'), { recursive: true, dereference: true })
  cpSync(CA_BUNDLE, join(context, 'ca-certificates.crt'), { dereference: true })
  writeFileSync(join(context, 'npmrc'), npmrc)
  writeFileSync(join(context, 'Dockerfile'), NODE_DOCKERFILE)
  await docker(['build', '--network=host', '-t', NODE_IMAGE, context])
  rmSync(context, { recursive: true })
}

/** The machine's registry and certificates: what works here works in the build. */
async function npmSettings(): Promise<string> {
  const registry = (await run(['npm', 'config', 'get', 'registry'])).trim()
  return `registry=${registry}\ncafile=${CA_BUNDLE}\n`
}

function proxyArguments(): string[] {
  const names = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']
  return names.filter((name) => process.env[name] !== undefined).flatMap((name) => ['--build-arg', name])
}

/** Writes the images' tar, named after the first, unless the one there is of the same images. */
async function save(docker: Docker, folder: string, images: readonly [string, ...string[]]): Promise<string> {
  const tar = join(folder, `${fileName(images[0])}.tar`)
  const id = (await docker(['image', 'inspect', '--format', '{{.Id}} {{.RepoTags}}', ...images])).trim()
  const stamp = `${tar}.id`
  if (!existsSync(tar) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== id) {
    rmSync(stamp, { force: true })
    await docker(['save', '-o', tar, ...images])
    writeFileSync(stamp, id)
  }
  return tar
}

function freshFolder(folder: string, name: string): string {
  const path = join(folder, name)
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path)
  return path
}

function fileName(image: string): string {
  return image.replaceAll(/[^a-z0-9.-]/g, '-')
}
