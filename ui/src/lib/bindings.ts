// Made from the Rust types of the commands; do not edit.
// Renew it with `PLIMSOLL_UPDATE_BINDINGS=1 cargo nextest run -p plimsoll-app bindings`.

export type About = { version: string, protocol: number, 
/**
 * Of the process that owns the data folder.
 */
pid: number, started_ms: number, data_dir: string, config_path: string, socket: string, 
/**
 * Address of the loopback page, where it is served.
 */
ui: string | null, 
/**
 * True for the demo: nothing is measured.
 */
simulated: boolean, machine: MachineInfo, gpu: GpuInfo | null, 
/**
 * First start with this data folder: nothing was recorded before.
 */
first_start: boolean, };

export type Alert = { row: AlertRow, 
/**
 * The value now, in the rule's unit.
 */
value: number | null, unit: Unit | null, 
/**
 * What to do about it, in one sentence.
 */
advice: string, 
/**
 * When a person said they had seen it.
 */
acknowledged_ms: number | null, 
/**
 * Until when a person silenced it.
 */
snoozed_until_ms: number | null, };

export type AlertId = { id: string, };

export type AlertRow = { 
/**
 * Unique: rule, subject and start, e.g. `disk-space:/home:1763650000000`.
 */
id: string, 
/**
 * Id of the rule, e.g. `disk-space`.
 */
rule: string, subject: string, severity: Severity, 
/**
 * One sentence with the value, e.g. `/home has 3.2 GiB left`.
 */
title: string, start_ms: number, end_ms: number | null, 
/**
 * Furthest value past the threshold, in the rule's unit.
 */
peak: number | null, threshold: number | null, };

export type AlertRule = { id: string, 
/**
 * What it watches, in one sentence, with the thresholds in force.
 */
sentence: string, severity: Severity, enabled: boolean, unit: Unit | null, 
/**
 * Metric whose chart carries its threshold as a load line, where there is one.
 */
metric: string | null, threshold: number | null, 
/**
 * True where being below the threshold is what alerts.
 */
below: boolean, 
/**
 * Subjects for which it holds now.
 */
active: Array<string>, 
/**
 * What charts draw: one line a subject, also where each has a height of its own.
 */
lines: Array<LoadLine>, };

export type AlertSnooze = { id: string, 
/**
 * 1 to 10080 (a week); 0 ends a snooze.
 */
minutes: number, };

export type Answer = { from_ms: number, to_ms: number, series: Array<SeriesAnswer>, };

export type Basis = "told" | "assumed";

export type BodiesAsk = { client: string, 
/**
 * At most [`MAX_BODIES_MINUTES`]; 0: no longer, and what was kept is forgotten.
 */
minutes: number, };

export type BodiesKept = { client: string, until_ms: number, };

export type BreakerState = "passing" | "rejecting" | "probing";

export type Cadence = "tick" | "processes" | "space";

export type Change = { key: string, value: SettingValue | null, };

export type Changed = { key: string, old: SettingValue, new: SettingValue, };

export type Check = { 
/**
 * e.g. `NVIDIA driver`.
 */
name: string, verdict: Verdict, 
/**
 * What was found.
 */
finding: string, 
/**
 * What to do about it; empty where nothing is.
 */
advice: string, 
/**
 * A command that checks the same by hand.
 */
by_hand: string, };

export type ClientBasis = "key" | "program" | "user_agent" | "unknown";

export type Compared = { figure: ComparedFigure, 
/**
 * E.g. `TTFT p95`.
 */
title: string, 
/**
 * `ms`, `%` or `/min`.
 */
unit: string, 
/**
 * Requests that it is made from.
 */
before_count: number, after_count: number, 
/**
 * `None` where there were too few.
 */
before: Estimate | null, after: Estimate | null, 
/**
 * After less before.
 */
difference: Estimate | null, verdict: ComparedVerdict, 
/**
 * E.g. `TTFT p95 612 → 740 ms, clearly worse`.
 */
text: string, 
/**
 * Why it cannot be told, e.g. `needs 59 requests, 12 before and 400 after`; may be empty.
 */
why: string, };

export type ComparedFigure = "ttft_p95" | "wait_p95" | "refused_share" | "requests_per_min";

export type ComparedVerdict = "clearly_better" | "clearly_worse" | "cannot_tell" | "clearly_more" | "clearly_less";

export type ConfigEdit = { 
/**
 * Digest of the text it started from; `None` only for `config.preview`.
 */
base: string | null, changes: Array<Change>, text: string | null, 
/**
 * Who asks: `window`, `browser` or `terminal`.
 */
by: string, 
/**
 * Keys of the changes that are all that is staged of the limits, as whoever asks saw it.
 * `config.apply` refuses them (`Conflict`) where another draft is staged by now, and takes
 * what it applied off the draft.
 */
staged?: Array<string>, };

export type ConfigView = { path: string, 
/**
 * The file as it is on disk now; empty where there is none.
 */
text: string, 
/**
 * Revision in force.
 */
revision: number, 
/**
 * Digest of `text`: changes are applied only on the text they started from.
 */
digest: string, settings: Array<SettingState>, 
/**
 * What is wrong with the file; the revision in force is then an older text.
 */
problems: Array<Problem>, };

export type Connect = { 
/**
 * E.g. `http://127.0.0.1:1876/v1`.
 */
local_url: string, 
/**
 * For programs in containers; `None` where this machine has no bridge.
 */
container: ConnectContainer | null, 
/**
 * It listens beyond this machine.
 */
beyond: boolean, models: Array<ConnectModel>, };

export type ConnectContainer = { 
/**
 * E.g. `http://host.docker.internal:1876/v1`.
 */
url: string, 
/**
 * The bridge's own, e.g. `172.17.0.1:1876`.
 */
address: string, 
/**
 * It listens there; a key is always wanted there.
 */
listening: boolean, };

export type ConnectModel = { name: string, 
/**
 * Ids of the services that serve it.
 */
services: Array<string>, 
/**
 * An alias or a pattern of `gateway.routes`.
 */
route: string | null, endpoint: Endpoint, };

export type DeleteRequest = { 
/**
 * Everything before it goes; `None` deletes the whole history.
 */
before_ms: number | null, };

export type DiffLine = { sign: DiffSign, text: string, old_line: number | null, new_line: number | null, };

export type DiffSign = "context" | "removed" | "added";

export type DoctorReport = { checks: Array<Check>, };

export type Done = { message: string, };

export type DraftChange = { key: string, 
/**
 * In force when it was staged.
 */
from: SettingValue, 
/**
 * In force now.
 */
now: SettingValue, 
/**
 * `None`: back to the default.
 */
to: SettingValue | null, 
/**
 * It was changed elsewhere since: `now` is not `from`.
 */
conflict: boolean, };

export type EndProcess = { pid: number, started_ms: number, 
/**
 * `false` asks (SIGTERM), `true` kills (SIGKILL).
 */
kill: boolean, };

export type Endpoint = "chat" | "completions" | "responses" | "embeddings" | "rerank" | "transcriptions" | "translations" | "speech" | "messages" | "ollama_chat" | "ollama_generate" | "ollama_embed" | "other";

export type EnergyReport = { 
/**
 * Where the figure comes from: `counter`, `power` (integrated) or `none`.
 */
basis: string, 
/**
 * `None` where neither is known.
 */
kwh: number | null, 
/**
 * At `power.price_per_kwh`.
 */
cost: number | null, currency: string, 
/**
 * Share of the range that was measured, 0 to 1: gaps are not filled in.
 */
covered: number, };

export type Estimate = { value: number, low: number, high: number, };

export type ExportFormat = "csv" | "jsonl";

export type ExportRequest = { 
/**
 * Empty: every series.
 */
series: Array<SeriesKey>, from_ms: number, to_ms: number, format: ExportFormat, 
/**
 * Absolute path of the file to write; an existing one is replaced when it is complete.
 */
path: string, };

export type Fault = { code: FaultCode, 
/**
 * What is wrong, where, and what is allowed: one or two sentences.
 */
message: string, 
/**
 * What to do next.
 */
hint: string | null, };

export type FaultCode = "invalid" | "not_found" | "conflict" | "denied" | "unavailable" | "protocol" | "internal";

export type Figures = { running: number | null, waiting: number | null, finished_per_s: number | null, prompt_tokens_per_s: number | null, generated_tokens_per_s: number | null, 
/**
 * 0 to 100.
 */
kv_used_percent: number | null, preemptions_per_s: number | null, 
/**
 * Of the prompt tokens looked up between the last two looks.
 */
prefix_hit_percent: number | null, ttft: Latency | null, itl: Latency | null, queue: Latency | null, e2e: Latency | null, 
/**
 * Only of a Redis.
 */
redis: RedisFigures | null, 
/**
 * Only of a vector store.
 */
store: StoreFigures | null, };

export type FilePath = { 
/**
 * Absolute path of the file to write.
 */
path: string, };

export type Finish = "answered" | "refused" | "failed" | "left" | "cancelled" | "timed_out";

export type Folder = { 
/**
 * Absolute path.
 */
path: string, };

export type GatewayState = "off" | "listening" | "failed" | "draining";

export type GatewayTest = { model: string, 
/**
 * Empty: without one.
 */
key: string, };

export type GatewayTested = { 
/**
 * In the order in which they happened.
 */
steps: Array<TestStep>, 
/**
 * The beginning of what the model said.
 */
text: string, row: RequestRow | null, };

export type GpuInfo = { uuid: string, name: string, driver_version: string | null, 
/**
 * CUDA version that the driver supports, e.g. `12.8`.
 */
cuda_version: string | null, nvml_version: string | null, vram_total_bytes: number | null, slowdown_celsius: number | null, shutdown_celsius: number | null, power_limit_watts: number | null, graphics_clock_max_mhz: number | null, memory_clock_max_mhz: number | null, sm_clock_max_mhz: number | null, pcie_generation_max: number | null, pcie_width_max: number | null, 
/**
 * Names of the reasons that hold the clocks down now, e.g. `SW power cap`.
 */
throttle_reasons: Array<string>, 
/**
 * Metrics that this card or its driver does not give, e.g. `gpu.fan`; in the order
 * of the catalogue.
 */
missing: Array<string>, 
/**
 * Cards beyond the first, which are not watched.
 */
others: Array<string>, };

export type Hint = { 
/**
 * Stable, e.g. `no-metrics`, `on-the-cpu`, `wants-a-key`.
 */
id: string, level: HintLevel, 
/**
 * What is so, e.g. `This server was started without --metrics.`
 */
text: string, 
/**
 * What to do, e.g. `Start it with --metrics to see its tokens and its queue.`
 */
advice: string, };

export type HintLevel = "advice" | "warning";

export type HistoryStats = { 
/**
 * Size of the database and its write-ahead log.
 */
bytes: number, 
/**
 * Raw samples held, sealed and not.
 */
samples: number, 
/**
 * Sealed raw chunks only; `None` before the first is sealed.
 */
bytes_per_sample: number | null, series: number, oldest_ms: number | null, newest_ms: number | null, epochs: number, };

export type Hold = { state: HoldState, from_ms: number, 
/**
 * When everything is brought back.
 */
until_ms: number, steps: Array<HoldStep>, 
/**
 * VRAM in use over all GPUs; `None` where there is none that is measured.
 */
vram_before_bytes: number | null, vram_after_bytes: number | null, };

export type HoldFate = { service: string, name: string, 
/**
 * The models that would be unloaded; empty: the whole service is meant.
 */
models: Array<string>, 
/**
 * What it holds of what is meant; `None` where it is not known.
 */
vram_bytes: number | null, can: boolean, 
/**
 * Why it cannot be freed; empty where it can.
 */
why: string, };

export type HoldPlanRequest = { 
/**
 * As in [`HoldRequest`].
 */
services: Array<string>, };

export type HoldRequest = { 
/**
 * 1 to 1440.
 */
minutes: number, 
/**
 * Services to free; empty: all that hold VRAM and let themselves be freed.
 */
services: Array<string>, };

export type HoldState = "freeing" | "held" | "restoring" | "ended";

export type HoldStep = { service: string, 
/**
 * The model that was unloaded; `None`: the whole service was stopped.
 */
model: string | null, freed: boolean, restored: boolean, 
/**
 * Why it could not be freed or brought back; empty where nothing is wrong.
 */
trouble: string, 
/**
 * Requests that are to end before it is taken away; 0: it waits for none now.
 */
waits_for: number, };

export type Holder = { 
/**
 * The listening process first; at most 64.
 */
pids: Array<number>, 
/**
 * Name of the listening process, e.g. `llama-server`.
 */
name: string, 
/**
 * Name of the container it runs in, or its short id where Docker does not tell it.
 */
container: string | null, 
/**
 * What that container was made from, e.g. `vllm/vllm-openai:v0.11.0`.
 */
image?: string, 
/**
 * What that container holds, as its control group counts it: without the cache that
 * the kernel would give back first, and with what runs in it beside the service.
 */
container_bytes?: number, 
/**
 * When the listening process started.
 */
started_ms: number, 
/**
 * 100 for one core.
 */
cpu_percent: number | null, rss_bytes: number, vram_bytes: number | null, };

export type IgnoredService = { id: string, name: string, kind: ServiceKind, url: string, 
/**
 * It is there now.
 */
live: boolean, };

export type JobId = { job: number, };

export type JobProgress = { job: number, title: string, state: JobState, 
/**
 * 0 to 1; `None` where the end is not known.
 */
share: number | null, 
/**
 * What was done, or why it failed.
 */
message: string, };

export type JobStarted = { job: number, };

export type JobState = "running" | "done" | "cancelled" | "failed";

export type KeyChange = { id: string, spec: KeySpec, };

export type KeyId = { id: string, };

export type KeyInfo = { id: string, 
/**
 * Its first characters, by which a person tells it: `plm-Vk3r`.
 */
begins: string, spec: KeySpec, made_ms: number, used_ms: number | null, };

export type KeyMade = { key: string, info: KeyInfo, };

export type KeySpec = { 
/**
 * Unique among the keys that are in force.
 */
name: string, priority: Priority, 
/**
 * Models or services by name or pattern, e.g. `qwen*`; empty: all.
 */
models: Array<string>, scopes: Array<Scope>, max_in_flight: number, requests_per_min: number, tokens_per_min: number, };

export type Kind = "gauge" | "counter" | "histogram";

export type Latency = { p50_ms: number, p95_ms: number, 
/**
 * `None` below 299 observations: the maximum is no bound for it there.
 */
p99_ms: number | null, 
/**
 * Observations, at least one.
 */
count: number, 
/**
 * The span they were made in.
 */
window_ms: number, };

export type Level = "raw" | "s10" | "m1" | "m15" | "h1";

export type LimitChart = { 
/**
 * What is drawn; the first carries the line, the others stand on it or beside it.
 */
series: Array<SeriesKey>, 
/**
 * The second series stands on the first: their sum is the demand.
 */
stacked: boolean, 
/**
 * The limit in the chart's unit is its number times this; `None` where it is no line of
 * this chart, which it moves all the same.
 */
scale: number | null, 
/**
 * A floor: being below it is what is limited.
 */
floor: boolean, 
/**
 * It is meant to be filled, and never near or over: the queue above it is the sign.
 */
filled: boolean, };

export type LimitEffect = { keys: Array<string>, 
/**
 * False where it cannot be told; the text says so then, and why.
 */
known: boolean, 
/**
 * One sentence, the result, e.g. `38 of the last 1000 requests would have waited 2.1 s
 * less; none refused.`
 */
text: string, 
/**
 * How that is known and what it supposes, one sentence; may be empty.
 */
why: string, replay: ReplayFigures | null, vram: VramFigures | null, };

export type LimitGroup = "vram" | "concurrency" | "queue" | "clients" | "time" | "retries" | "cache" | "memory" | "disk" | "measuring";

export type LimitGroupInfo = { id: LimitGroup, 
/**
 * E.g. `Queue and waiting`.
 */
title: string, };

export type LimitInfo = { 
/**
 * As in the file, e.g. `services.chat.max_in_flight`.
 */
key: string, group: LimitGroup, 
/**
 * E.g. `Requests at once, Chat`.
 */
title: string, 
/**
 * What it limits, a sentence or two.
 */
meaning: string, 
/**
 * Id of the service, the route or the client it is of.
 */
of: string | null, accepts: SettingType, unit: string | null, default: SettingValue, value: SettingValue, origin: Origin, 
/**
 * What holds now where the value is a word or stands for none, e.g. the 4 of `auto`.
 */
in_force: number | null, 
/**
 * How that is known, e.g. `told by the server`; empty where nothing has to be said.
 */
in_force_why: string, lock: LimitLock | null, 
/**
 * What the presets set it to; `None`: they leave it alone.
 */
conservative: SettingValue | null, balanced: SettingValue | null, aggressive: SettingValue | null, 
/**
 * `None` where it is a word out of several.
 */
slider: LimitSlider | null, 
/**
 * Where a slider ends before its range does, whatever stands there by then.
 */
stop: LimitStop | null, chart: LimitChart | null, takes_hold: LimitTakesHold, };

export type LimitLock = { "by": "environment", variable: string, reason: string, } | { "by": "file", reason: string, } | { "by": "command", flag: string, reason: string, };

export type LimitPreset = { id: Preset, title: string, 
/**
 * What it is for, one sentence.
 */
meaning: string, 
/**
 * From what is in force; empty: it is in force.
 */
changes: Array<Changed>, 
/**
 * Keys that it would change and that are locked.
 */
locked: Array<string>, };

export type LimitSide = "at_most" | "at_least";

export type LimitSlider = { min: number, max: number, step: number, 
/**
 * Equal distances are equal factors; `min` is then above 0.
 */
log: boolean, };

export type LimitStop = { side: LimitSide, 
/**
 * Key of the other one.
 */
key: string, };

export type LimitTakesHold = { "when": "live" } | { "when": "service_restarts", service: string, name: string, 
/**
 * How long it was away at its latest starts, the middle one; `None` where none is
 * recorded.
 */
about_ms: number | null, 
/**
 * E.g. `restarts chat, about 9 s` or `restarts chat; how long is not known yet`.
 */
text: string, } | { "when": "plimsoll_restarts" };

export type LimitsAsk = { changes: Array<Change>, };

export type LimitsCompared = { revision: number, at_ms: number, changed: Array<Changed>, 
/**
 * Only requests of these services; empty: all.
 */
services: Array<string>, 
/**
 * `None` where there is nothing on one side.
 */
before: Range | null, after: Range | null, 
/**
 * Why the windows are as long as they are, one sentence.
 */
window_why: string, figures: Array<Compared>, 
/**
 * What makes it doubtful, e.g. that far more was asked; empty where nothing does.
 */
caution: string, };

export type LimitsDraft = { 
/**
 * Grows with every change of the draft: of two, the one with the larger is the later.
 */
serial: number, 
/**
 * Without those that are in force by now.
 */
changes: Array<DraftChange>, 
/**
 * When it was staged last.
 */
at_ms: number | null, 
/**
 * The file is another one than it was then, in whatever: apply on its digest of now.
 */
file_changed: boolean, };

export type LimitsEffect = { 
/**
 * One for each change alone, in their order.
 */
effects: Array<LimitEffect>, 
/**
 * Of all that admission keeps together, where that is more than one.
 */
together: LimitEffect | null, };

export type LimitsStage = { 
/**
 * Each takes the place of what was staged of its key.
 */
set: Array<Change>, 
/**
 * Keys of which nothing is to be staged any more.
 */
clear: Array<string>, 
/**
 * After a look at a conflict: what is staged begins from what is in force now.
 */
rebase: boolean, };

export type LimitsView = { 
/**
 * Revision in force, and the digest that `config.apply` wants as its base.
 */
revision: number, digest: string, 
/**
 * In the order in which they are shown; each has at least one limit.
 */
groups: Array<LimitGroupInfo>, limits: Array<LimitInfo>, presets: Array<LimitPreset>, 
/**
 * The one that is in force; `None`: a person's own.
 */
preset: Preset | null, draft: LimitsDraft, };

export type Live = { "event": "tick", at_ms: number, values: Array<LiveValue>, } | { "event": "sources", sources: Array<SourceStatus>, } | { "event": "processes", at_ms: number, } | { "event": "services", at_ms: number, } | { "event": "traffic", at_ms: number, } | { "event": "hold" } | { "event": "alerts" } | { "event": "notice", rule: string, subject: string, severity: Severity, 
/**
 * One sentence.
 */
title: string, 
/**
 * What to do.
 */
advice: string, } | { "event": "config", revision: number, } | { "event": "staged", serial: number, } | { "event": "mark", mark: Mark, } | { "event": "job", job: JobProgress, } | { "event": "missed", messages: number, } | { "event": "stopping" };

export type LiveRequest = { id: number, at_ms: number, client: string, endpoint: Endpoint, model: string, backend: string | null, priority: Priority, stream: boolean, phase: Phase, 
/**
 * Place in the queue, from 1.
 */
position: number | null, 
/**
 * How long it will probably wait yet.
 */
expected_wait_ms: number | null, 
/**
 * In the queue so far.
 */
wait_us: number, overhead_us: number, 
/**
 * From its arrival to its first token.
 */
ttft_us: number | null, 
/**
 * Estimated until the backend tells it.
 */
tokens_in: number | null, 
/**
 * Counted as they pass.
 */
tokens_out: number, max_tokens: number | null, retries: number, };

export type LiveValue = { value: number, 
/**
 * A name from the catalogue, e.g. `gpu.vram.used`.
 */
metric: string, 
/**
 * The subject's name; empty for the machine.
 */
subject: string, };

export type LoadLine = { metric: string, subject: string, 
/**
 * In the metric's unit.
 */
value: number, 
/**
 * True where being below the line is what alerts.
 */
below: boolean, };

export type Loaded = "loaded" | "loading" | "unloaded" | "unknown";

export type LogEntry = { at_ms: number, level: LogLevel, 
/**
 * Module that wrote it, e.g. `plimsoll_history::seal`.
 */
module: string, message: string, 
/**
 * Further fields as `key=value`, joined by spaces.
 */
fields: string, };

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

export type LogRequest = { 
/**
 * This level and more severe ones.
 */
level: LogLevel, 
/**
 * Only entries whose module, message or fields contain it.
 */
contains: string, 
/**
 * Only older ones than that: for the next page.
 */
before_ms: number | null, 
/**
 * 1 to 1000.
 */
limit: number, };

export type MachineInfo = { hostname: string, os: string, kernel: string, cpu_model: string, 
/**
 * Logical ones: what the system calls a CPU.
 */
cores: number | null, memory_bytes: number | null, 
/**
 * The container or virtual machine this runs in, where that shows.
 */
container: string | null, };

export type Mark = { 
/**
 * Given by the history; 0 until it is stored.
 */
id: number, at_ms: number, end_ms: number | null, kind: MarkKind, 
/**
 * What it is about, e.g. a mount point or a GPU's UUID.
 */
subject: string | null, 
/**
 * One sentence, shown beside the mark.
 */
title: string, 
/**
 * The rest, e.g. the diff of a revision; may be empty.
 */
detail: string, 
/**
 * Where it leads, e.g. `revision:38` or `alert:disk-space:/home`.
 */
reference: string | null, };

export type MarkKind = "change" | "alert" | "restart" | "load_test" | "clock" | "history" | "service";

export type MetricSpec = { 
/**
 * Dotted name, stable for ever: it stands in databases and exports.
 */
name: string, 
/**
 * Short name for people, unique within its subject.
 */
label: string, subject: SubjectKind, kind: Kind, unit: Unit, 
/**
 * Step that values are rounded to, in `unit`.
 */
resolution: number, cadence: Cadence, };

export type Model = { 
/**
 * By the name that requests use.
 */
name: string, loaded: Loaded, 
/**
 * E.g. `Q4_K_M`.
 */
quantization: string | null, 
/**
 * Tokens of context one request can have, as it was loaded.
 */
context_tokens: number | null, 
/**
 * In memory, wherever it lies; of one that is not loaded, on disk.
 */
size_bytes: number | null, 
/**
 * The part of it that lies on the GPU.
 */
vram_bytes: number | null, 
/**
 * `vram_bytes` of `size_bytes`, 0 to 1: below 1 a part runs on the CPU.
 */
gpu_share: number | null, 
/**
 * When the server unloads it if nobody asks for it.
 */
expires_ms: number | null, };

export type Nothing = Record<symbol, never>;

export type Origin = { "from": "default" } | { "from": "file", line: number, } | { "from": "environment", variable: string, };

export type OutputLine = { 
/**
 * Counted from 1 since Plimsoll began to read the output.
 */
number: number, 
/**
 * When it was read; `None` for one of the time before this Plimsoll started.
 */
at_ms: number | null, 
/**
 * At most 4 KiB; cut lines end with `…`. No control characters.
 */
text: string, };

export type PageLink = { url: string, };

export type Phase = "queued" | "prefill" | "decode";

export type Pid = { pid: number, };

export type Points = { at_ms: Array<number>, 
/**
 * In the unit of the answer: a counter's columns are rates per second.
 */
min: Array<number | null>, mean: Array<number | null>, max: Array<number | null>, };

export type Preset = "conservative" | "balanced" | "aggressive";

export type Pressed = "memory" | "memory_stall" | "cpu" | "temperature";

export type Preview = { text: string, diff: Array<DiffLine>, problems: Array<Problem>, 
/**
 * Keys that need a restart of Plimsoll.
 */
restart: Array<string>, };

export type Priority = "batch" | "interactive";

export type Problem = { 
/**
 * From 1; `None` for a value that does not come from the file.
 */
line: number | null, column: number | null, key: string | null, 
/**
 * One sentence, e.g. `history.max_mib is a whole number, 64 to 1048576. Found the text "lots".`
 */
message: string, 
/**
 * The next step, e.g. `Did you mean history.max_mib?`
 */
hint: string | null, 
/**
 * Text that would mend the line, where it is known.
 */
mend: string | null, };

export type Process = { pid: number, parent: number, 
/**
 * Short name of the program, e.g. `llama-server`.
 */
name: string, 
/**
 * Command line, arguments joined by spaces, cut at 4096 characters; empty for a kernel thread.
 */
command: string, uid: number, 
/**
 * Name of the user, or the number where it has none.
 */
user: string, 
/**
 * Container it runs in, by short id or name.
 */
container: string | null, 
/**
 * Unit of systemd that started it, e.g. `ollama.service`.
 */
unit: string | null, 
/**
 * CPU over the last interval, 100 for one core; `None` at first sight.
 */
cpu_percent: number | null, rss_bytes: number, 
/**
 * `None` where it holds no GPU memory or the driver does not say.
 */
vram_bytes: number | null, threads: number, 
/**
 * TCP ports it listens on, ascending, at most 32. Empty where it listens on none
 * and where the system does not let us look (another user's process).
 */
ports: Array<number>, started_ms: number, 
/**
 * CPU percent, oldest first, one value a scan; ends with the newest. `None` is a gap.
 */
cpu_trace: Array<number | null>, 
/**
 * True for a process of Plimsoll (its window included).
 */
own: boolean, };

export type ProcessDetail = { process: Process, nice: number, executable: string | null, parent_name: string | null, open_files: number | null, open_files_limit: number | null, 
/**
 * Limit of its memory cgroup.
 */
memory_limit_bytes: number | null, 
/**
 * Addresses of `process.ports`, read again when asked for, e.g. `127.0.0.1:8080`; at most 64.
 */
listens: Array<string>, rss_trace: Array<number | null>, vram_trace: Array<number | null>, };

export type ProcessTable = { 
/**
 * 0 before the first scan.
 */
at_ms: number, interval_ms: number, processes: Array<Process>, 
/**
 * Why VRAM per process is not known, in words; `None` where it is.
 */
vram_unknown: string | null, };

export type Query = { 
/**
 * 1 to [`MAX_SERIES_PER_QUERY`].
 */
series: Array<SeriesKey>, from_ms: number, 
/**
 * Not included.
 */
to_ms: number, 
/**
 * Width of the plot, 1 to [`MAX_WIDTH_PX`]: at most one point a pixel is answered.
 */
width_px: number, };

export type Range = { from_ms: number, 
/**
 * Not included.
 */
to_ms: number, };

export type RecordingState = "recording" | "paused" | "off";

export type RedisFigures = { memory_used_bytes: number | null, 
/**
 * `None` where it has no limit.
 */
memory_limit_bytes: number | null, memory_rss_bytes: number | null, fragmentation_bytes: number | null, 
/**
 * Of the look-ups between the last two looks; `None` where there were none.
 */
hit_percent: number | null, evicted_per_s: number | null, ops_per_s: number | null, clients: number | null, blocked: number | null, };

export type RememberKey = { key: string, };

export type Remembered = { 
/**
 * `[a-z0-9.-]{1,64}`.
 */
key: string, 
/**
 * JSON, at most 64 KiB; `null` forgets it.
 */
value: string, };

export type ReplayFigures = { 
/**
 * How many are counted, at most the last 1000 that the limit is about.
 */
requests: number, 
/**
 * From the first of them to the last.
 */
from_ms: number, to_ms: number, 
/**
 * What they waited in fact, all together, to judge the replay by.
 */
recorded_wait_ms: number, 
/**
 * Of these, how many lasted an unknown time and were given the middle one of their model.
 */
supposed: number, today: ReplaySide, proposed: ReplaySide, 
/**
 * Served on both sides, and would have waited less; by how much, on average.
 */
less: number, less_mean_ms: number, more: number, more_mean_ms: number, 
/**
 * Refused at the proposed limit and served at today's.
 */
newly_refused: number, 
/**
 * The other way round.
 */
newly_served: number, };

export type ReplaySide = { 
/**
 * How many waited at all.
 */
waited: number, wait_sum_ms: number, 
/**
 * Over all that were served; `None` below 59 of them.
 */
wait_p95_ms: number | null, wait_max_ms: number, refused: number, 
/**
 * Most that ran at once, of those that are counted.
 */
most_at_once: number, };

export type RequestBody = { request: string, answer: string, 
/**
 * One of them was longer.
 */
cut: boolean, };

export type RequestId = { id: number, };

export type RequestPage = { rows: Array<RequestRow>, 
/**
 * There are older ones.
 */
more: boolean, };

export type RequestRow = { 
/**
 * Grows with time, unique over restarts: when it came, in ms since 1970, times 4096,
 * and a running number.
 */
id: number, at_ms: number, 
/**
 * Name of the key, else of the program or its user agent.
 */
client: string, endpoint: Endpoint, 
/**
 * As it was asked for.
 */
model: string, 
/**
 * What was asked of the backend, where that is another.
 */
sent_model: string | null, 
/**
 * Id of the rule in `gateway.routes`.
 */
route: string | null, 
/**
 * Id of the service that answered, or was asked last.
 */
backend: string | null, priority: Priority, stream: boolean, finish: Finish, 
/**
 * As the client saw it; 0 where it left before one was sent.
 */
status: number, 
/**
 * Why it was refused or failed, one sentence; empty else.
 */
reason: string, 
/**
 * In line for room, with the pauses before another try.
 */
wait_us: number, 
/**
 * Plimsoll's own time, apart from waiting, the backend's, and the client's upload.
 */
overhead_us: number, 
/**
 * From its arrival (its head was read) to the first token, or to the answer's first byte
 * where none streams: upload and waiting included, as the client feels it.
 */
ttft_us: number | null, itl_p50_us: number | null, itl_p95_us: number | null, total_us: number, 
/**
 * As the backend counted them.
 */
tokens_in: number | null, tokens_out: number | null, 
/**
 * Executions upstream beyond the first.
 */
retries: number, shared: Shared | null, 
/**
 * Its share of the card's energy while it ran.
 */
joules: number | null, };

export type RequestsAsk = { 
/**
 * Only older ones than this: the last id of the page before.
 */
before: number | null, 
/**
 * Only newer ones than this.
 */
after: number | null, 
/**
 * At most [`MAX_PAGE`]; 0: 100.
 */
limit: number, client: string | null, model: string | null, backend: string | null, 
/**
 * Empty: however they ended.
 */
finish: Array<Finish>, 
/**
 * Only those that took this long.
 */
min_total_ms: number | null, };

export type Revision = { number: number, at_ms: number, 
/**
 * Who applied it: `window`, `terminal`, `browser`, `file` or `start`.
 */
by: string, 
/**
 * Number of the revision it went back to.
 */
rolled_back_to: number | null, changed: Array<Changed>, diff: Array<DiffLine>, };

export type RevisionId = { revision: number, };

export type RollbackRequest = { 
/**
 * For `config.rollback` the revision to go back to, for `config.undo` the one to take back.
 */
revision: number, by: string, };

export type RoomBasis = "configured" | "told" | "assumed" | "adaptive";

export type Run = { state: RunState, 
/**
 * Why, one sentence; empty where the state says it all.
 */
reason: string, since_ms: number, pid: number | null, 
/**
 * How often it was started again since a person started it.
 */
restarts: number, 
/**
 * When it is started again.
 */
next_ms: number | null, 
/**
 * What it is planned to take; `None` where nobody said.
 */
planned_vram_bytes: number | null, 
/**
 * Program and arguments, as it is started.
 */
command: Array<string>, };

export type RunState = "stopped" | "waiting" | "starting" | "running" | "stopping" | "restarting" | "failed";

export type Scope = "admin" | "metrics";

export type SeriesAnswer = { key: SeriesKey, unit: Unit, kind: Kind, level: Level, 
/**
 * Span of time that one point stands for.
 */
step_ms: number, points: Points, };

export type SeriesInfo = { key: SeriesKey, 
/**
 * Label of the metric, e.g. `VRAM used`.
 */
label: string, subject_kind: SubjectKind, kind: Kind, unit: Unit, cadence_ms: number, 
/**
 * When it was last written, and what; `None` before the first value of this start.
 */
last_ms: number | null, last: number | null, };

export type SeriesKey = { 
/**
 * A name from the catalogue, e.g. `gpu.vram.used`.
 */
metric: string, 
/**
 * The subject's name; empty for the machine.
 */
subject: string, };

export type Service = { 
/**
 * `[a-z0-9-]{1,32}`; its name in the configuration and in series.
 */
id: string, 
/**
 * For people.
 */
name: string, 
/**
 * `None` while it is not known what it speaks.
 */
kind: ServiceKind | null, 
/**
 * E.g. `http://127.0.0.1:8080`; without a key.
 */
url: string, origin: ServiceOrigin, state: ServiceState, 
/**
 * Why it is in this state, one sentence; empty while healthy.
 */
reason: string, 
/**
 * When it came into this state.
 */
since_ms: number, version: string | null, 
/**
 * At most [`MAX_MODELS`].
 */
models: Array<Model>, slots: Slots | null, figures: Figures, holder: Holder | null, 
/**
 * When it was last looked at; `None` before the first time.
 */
checked_ms: number | null, 
/**
 * How long that took.
 */
scrape_ms: number | null, 
/**
 * At most [`MAX_HINTS`].
 */
hints: Array<Hint>, 
/**
 * What its server lets one do with models.
 */
actions: ServiceActions, 
/**
 * `None` where its processes hold none, or it is not known.
 */
vram: VramSplit | null, 
/**
 * `None` for a service that somebody else starts.
 */
run: Run | null, };

export type ServiceActions = { load: boolean, unload: boolean, };

export type ServiceAdd = { 
/**
 * `[a-z0-9-]{1,32}`; `None`: made from the name, else from the address.
 */
id: string | null, url: string, name: string, 
/**
 * As in the configuration; empty: found out.
 */
kind: string, key_file: string, ca_file: string, 
/**
 * Who asks: `window`, `browser` or `terminal`.
 */
by: string, };

export type ServiceAdded = { id: string, revision: number, };

export type ServiceId = { id: string, };

export type ServiceKind = "llama-cpp" | "vllm" | "ollama" | "sglang" | "lm-studio" | "llama-cpp-python" | "openai" | "redis" | "qdrant" | "milvus" | "chroma" | "whisper-cpp" | "speaches" | "mcp" | "http";

export type ServiceModelRequest = { id: string, model: string, };

export type ServiceOrigin = "configured" | "accepted" | "proposed";

export type ServiceOutput = { lines: Array<OutputLine>, 
/**
 * Where the whole output stands; `None` where it is not kept.
 */
file: string | null, };

export type ServiceOutputRequest = { id: string, 
/**
 * The newest ones, 1 to 1000.
 */
lines: number, };

export type ServiceRemove = { id: string, 
/**
 * Who asks: `window`, `browser` or `terminal`.
 */
by: string, };

export type ServiceRemoved = { 
/**
 * What was done, one sentence.
 */
message: string, 
/**
 * The revision that took it out of the configuration: `config.undo` brings it back.
 * `None` for a service that was found: it is proposed again.
 */
revision: number | null, };

export type ServiceState = "starting" | "healthy" | "degraded" | "down" | "unknown";

export type ServiceTest = { 
/**
 * An address, e.g. `http://127.0.0.1:8080`, or the id of a service that is known, which is
 * asked with its kind and its key.
 */
target: string, 
/**
 * For an address: as in the configuration; empty or `auto`: found out.
 */
kind: string, 
/**
 * For an address: whole path of the file that holds its key; empty: it wants none.
 */
key_file: string, 
/**
 * Whole path of the file with the certificates that it is believed by; empty: those of the
 * service of that id, and at an address whom this machine trusts.
 */
ca_file: string, };

export type ServiceTested = { url: string, kind: ServiceKind, version: string | null, 
/**
 * `starting`, `healthy` or `degraded`, by this one answer.
 */
state: ServiceState, models: Array<Model>, 
/**
 * All questions together.
 */
took_ms: number, 
/**
 * What was found and what it said, one sentence.
 */
message: string, };

export type ServicesFound = { 
/**
 * `services.discover`, and not a simulated workstation.
 */
searching: boolean, 
/**
 * When it was looked last; `None` before the first time.
 */
looked_ms: number | null, 
/**
 * Proposals that a person does not want to see; `services.restore` brings one back.
 */
ignored: Array<IgnoredService>, 
/**
 * Why containers are not known by name, one sentence; `None` where they are, or where
 * there is no Docker.
 */
docker: string | null, 
/**
 * Ids of which the settings say how much they take (`services.ID` without a url) and that
 * no service has.
 */
unclaimed: Array<string>, };

export type SettingSpec = { 
/**
 * Dotted key; a segment `*` stands for any id of `[a-z0-9-]{1,32}`.
 */
key: string, 
/**
 * Section of the form, e.g. `History, storage`.
 */
section: string, 
/**
 * Short name, e.g. `Keep every second`.
 */
label: string, 
/**
 * One or two sentences: what it does, and why the default is what it is.
 */
meaning: string, accepts: SettingType, 
/**
 * As shown beside the field, e.g. `h`.
 */
unit: string | null, default: SettingValue, conservative: SettingValue | null, aggressive: SettingValue | null, 
/**
 * Applies at once; `false` needs a restart of Plimsoll.
 */
live: boolean, };

export type SettingState = { 
/**
 * Concrete key; equals `spec` unless that has a `*`.
 */
key: string, 
/**
 * Key of its [`SettingSpec`].
 */
spec: string, value: SettingValue, 
/**
 * Of this very key: built-in alert rules have defaults of their own.
 */
default: SettingValue, origin: Origin, };

export type SettingType = { "type": "switch" } | { "type": "integer", min: number, max: number, } | { "type": "integer_or", min: number, max: number, words: Array<string>, } | { "type": "number", min: number, max: number, } | { "type": "text", max_length: number, } | { "type": "choice", options: Array<string>, } | { "type": "path" } | { "type": "list", max_items: number, };

export type SettingValue = boolean | number | number | string | Array<string>;

export type Severity = "info" | "warning" | "critical";

export type Shared = "hit" | "joined";

export type Slots = { 
/**
 * `None` where the server takes any number (vLLM batches what fits).
 */
total: number | null, busy: number | null, 
/**
 * Requests that wait inside the server.
 */
waiting: number | null, basis: Basis, };

export type SourceState = "starting" | "healthy" | "absent" | "lost" | "failed" | "late";

export type SourceStatus = { name: string, state: SourceState, 
/**
 * In words, e.g. `No NVIDIA driver on this machine`; empty while healthy.
 */
reason: string, since_ms: number, 
/**
 * When it last gave readings.
 */
last_ms: number | null, };

export type Status = { at_ms: number, interval_ms: number, series: number, series_limit: number, recording: RecordingState, 
/**
 * Why recording is paused, in words.
 */
recording_reason: string | null, history_bytes: number, history_limit_bytes: number, oldest_ms: number | null, 
/**
 * Of one core, over the last minute.
 */
self_cpu_percent: number | null, self_rss_bytes: number | null, active_alerts: number, sources: Array<SourceStatus>, 
/**
 * Where the gateway listens; `None` where it does not.
 */
gateway: string | null, 
/**
 * Which of its addresses the gateway could not have, by whom they are taken and what to
 * do; `None` where it has them all.
 */
gateway_trouble: string | null, 
/**
 * Plimsoll's own time of the last 5 minutes' requests, p99; `None` where there were none.
 */
gateway_overhead_us: number | null, 
/**
 * Why the configuration file, or a variable, is not in force, and what is instead; `None`
 * where all is.
 */
config_trouble: string | null, };

export type StorageKind = { 
/**
 * `raw`, `s10`, `m1`, `m15`, `h1`, `marks` or `log`.
 */
kind: string, label: string, bytes: number, oldest_ms: number | null, 
/**
 * Setting that says how long it is kept, and its value.
 */
setting: string, keep: number, keep_unit: string, 
/**
 * A shorter span that is worth it, and the bytes it frees; `None` where nothing is.
 */
less: number | null, less_frees_bytes: number | null, };

export type StorageReport = { data_dir: string, total_bytes: number, limit_bytes: number, 
/**
 * What the file system still takes.
 */
disk_available_bytes: number | null, kinds: Array<StorageKind>, 
/**
 * Databases that were set aside because they were damaged.
 */
set_aside: Array<string>, };

export type StoreFigures = { collections: number | null, points: number | null, requests_per_s: number | null, };

export type StoryMinute = { answered: number, failed: number, refused: number, };

export type SubjectKind = "machine" | "core" | "disk" | "mount" | "interface" | "sensor" | "gpu" | "process" | "plimsoll" | "service" | "model" | "client";

export type Subscription = { 
/**
 * Beginnings of metric names, e.g. `gpu.`; at most 64. Nothing is sent for other metrics.
 */
metrics: Array<string>, };

export type TestStep = { ok: boolean, 
/**
 * E.g. `Waited: 4 of 4 slots were busy`.
 */
text: string, 
/**
 * Since it was sent.
 */
at_ms: number, };

export type Traffic = { at_ms: number, state: GatewayState, 
/**
 * Why it does not listen, or not at each of its addresses; empty where all is well.
 */
reason: string, 
/**
 * E.g. `127.0.0.1:1876`.
 */
addresses: Array<string>, totals: TrafficTotals, 
/**
 * In the order of the services.
 */
backends: Array<TrafficBackend>, 
/**
 * Of the last hour, the most GPU time first; at most 200.
 */
clients: Array<TrafficClient>, 
/**
 * In flight and queued, the oldest first; at most 256.
 */
live: Array<LiveRequest>, 
/**
 * Clients whose bodies are kept now.
 */
bodies: Array<BodiesKept>, 
/**
 * Those that are set up.
 */
gates: Array<TrafficGate>, };

export type TrafficBackend = { 
/**
 * Id of the service.
 */
id: string, name: string, kind: ServiceKind | null, up: boolean, 
/**
 * It takes nothing new, because it is stopped, started anew or unloaded; what runs there
 * may end.
 */
resting: boolean, 
/**
 * Requests it takes at once; `None`: nothing bounds it.
 */
room: number | null, room_basis: RoomBasis, in_flight: number, 
/**
 * Requests it runs that did not come through Plimsoll; `None` where it does not say.
 */
outside: number | null, queued: number, longest_wait_ms: number | null, breaker: TrafficBreaker, 
/**
 * The last 30 minutes, the oldest first.
 */
story: Array<StoryMinute>, };

export type TrafficBreaker = { state: BreakerState, since_ms: number, 
/**
 * E.g. `5 requests in a row failed`; empty while passing.
 */
reason: string, 
/**
 * When the next request may probe.
 */
probe_ms: number | null, };

export type TrafficClient = { name: string, basis: ClientBasis, 
/**
 * Of its last request.
 */
priority: Priority, in_flight: number, queued: number, 
/**
 * In the last hour, as all that follow.
 */
requests: number, refused: number, failed: number, tokens_in: number, tokens_out: number, 
/**
 * Seconds in which a backend worked for it; two requests at once count twice.
 */
backend_s: number, 
/**
 * Its share of the card's energy; `None` where the card does not tell it.
 */
joules: number | null, 
/**
 * `None` below 59 requests: the maximum is no bound for it there.
 */
ttft_p95_ms: number | null, last_ms: number, };

export type TrafficGate = { gate: Pressed, 
/**
 * While it is closed requests wait or are refused; else it only counts them.
 */
enforced: boolean, closed: boolean, 
/**
 * Percent of memory available, of time stalled, of the CPU busy, or degrees left; `None`
 * where the machine does not tell it, and nothing is held then.
 */
value: number | null, 
/**
 * At which value it closes.
 */
close: number, 
/**
 * Requests that came while it was closed, since the start.
 */
met: number, 
/**
 * Why it is closed, part of a sentence; empty while it is open.
 */
reason: string, };

export type TrafficTotals = { in_flight: number, queued: number, 
/**
 * `gateway.queue.max`
 */
queue_max: number, 
/**
 * In the last minute.
 */
requests_per_min: number, refused_per_min: number, 
/**
 * Plimsoll's own time of the last 5 minutes' requests; `None` where there were none.
 */
overhead_p50_us: number | null, overhead_p99_us: number | null, 
/**
 * Requests that ended since the start.
 */
ended: number, };

export type Unit = "bytes" | "bytes_per_second" | "percent" | "celsius" | "watts" | "joules" | "megahertz" | "milliseconds" | "count" | "flag";

export type Verdict = "good" | "limited" | "bad" | "unknown";

export type VramFigures = { 
/**
 * Of all cards in use now.
 */
used_bytes: number | null, total_bytes: number | null, before_bytes: number, after_bytes: number, };

export type VramSplit = { 
/**
 * All that its processes hold, as the driver counts it.
 */
total_bytes: number, weights_bytes: number | null, kv_bytes: number | null, 
/**
 * What is left: compute buffers, the driver's context, what is not known apart.
 */
other_bytes: number, 
/**
 * `Told` where the server says the parts, `Assumed` where they are computed.
 */
basis: Basis, };

export type Written = { path: string, bytes: number, };

/** Longest hold. */
export const MAX_HOLD_MINUTES = 1440;

export interface Commands {
  "about": { args: Nothing; answer: About };
  "status": { args: Nothing; answer: Status };
  "page.link": { args: Nothing; answer: PageLink };
  "metrics": { args: Nothing; answer: Array<MetricSpec> };
  "series": { args: Nothing; answer: Array<SeriesInfo> };
  "history.query": { args: Query; answer: Answer };
  "history.stats": { args: Nothing; answer: HistoryStats };
  "history.export": { args: ExportRequest; answer: JobStarted };
  "marks": { args: Range; answer: Array<Mark> };
  "energy": { args: Range; answer: EnergyReport };
  "processes": { args: Nothing; answer: ProcessTable };
  "processes.detail": { args: Pid; answer: ProcessDetail };
  "processes.end": { args: EndProcess; answer: Done };
  "services": { args: Nothing; answer: Array<Service> };
  "services.show": { args: ServiceId; answer: Service };
  "services.test": { args: ServiceTest; answer: ServiceTested };
  "services.found": { args: Nothing; answer: ServicesFound };
  "services.accept": { args: ServiceId; answer: Done };
  "services.ignore": { args: ServiceId; answer: Done };
  "services.restore": { args: ServiceId; answer: Done };
  "services.add": { args: ServiceAdd; answer: ServiceAdded };
  "services.remove": { args: ServiceRemove; answer: ServiceRemoved };
  "services.load": { args: ServiceModelRequest; answer: JobStarted };
  "services.unload": { args: ServiceModelRequest; answer: JobStarted };
  "services.start": { args: ServiceId; answer: Done };
  "services.stop": { args: ServiceId; answer: JobStarted };
  "services.restart": { args: ServiceId; answer: JobStarted };
  "services.output": { args: ServiceOutputRequest; answer: ServiceOutput };
  "hold": { args: HoldRequest; answer: Hold };
  "hold.plan": { args: HoldPlanRequest; answer: Array<HoldFate> };
  "hold.show": { args: Nothing; answer: Hold | null };
  "hold.end": { args: Nothing; answer: Hold };
  "traffic": { args: Nothing; answer: Traffic };
  "requests": { args: RequestsAsk; answer: RequestPage };
  "requests.cancel": { args: RequestId; answer: Done };
  "requests.body": { args: RequestId; answer: RequestBody };
  "gateway.bodies": { args: BodiesAsk; answer: Done };
  "gateway.connect": { args: Nothing; answer: Connect };
  "gateway.test": { args: GatewayTest; answer: GatewayTested };
  "keys": { args: Nothing; answer: Array<KeyInfo> };
  "keys.add": { args: KeySpec; answer: KeyMade };
  "keys.change": { args: KeyChange; answer: KeyInfo };
  "keys.revoke": { args: KeyId; answer: Done };
  "alerts": { args: Nothing; answer: Array<Alert> };
  "alerts.history": { args: Range; answer: Array<AlertRow> };
  "alerts.acknowledge": { args: AlertId; answer: Done };
  "alerts.snooze": { args: AlertSnooze; answer: Done };
  "alerts.rules": { args: Nothing; answer: Array<AlertRule> };
  "config.schema": { args: Nothing; answer: Array<SettingSpec> };
  "config": { args: Nothing; answer: ConfigView };
  "config.preview": { args: ConfigEdit; answer: Preview };
  "config.apply": { args: ConfigEdit; answer: Revision };
  "config.revisions": { args: Nothing; answer: Array<Revision> };
  "config.rollback": { args: RollbackRequest; answer: Revision };
  "config.undo": { args: RollbackRequest; answer: Revision };
  "limits": { args: Nothing; answer: LimitsView };
  "limits.stage": { args: LimitsStage; answer: LimitsDraft };
  "limits.effect": { args: LimitsAsk; answer: LimitsEffect };
  "limits.compare": { args: RevisionId; answer: LimitsCompared };
  "storage": { args: Nothing; answer: StorageReport };
  "storage.backup": { args: Folder; answer: JobStarted };
  "storage.restore": { args: Folder; answer: Done };
  "storage.move": { args: Folder; answer: JobStarted };
  "storage.delete": { args: DeleteRequest; answer: Done };
  "jobs": { args: Nothing; answer: Array<JobProgress> };
  "jobs.cancel": { args: JobId; answer: Done };
  "log": { args: LogRequest; answer: Array<LogEntry> };
  "doctor": { args: Nothing; answer: DoctorReport };
  "doctor.bundle": { args: FilePath; answer: Written };
  "remember": { args: Remembered; answer: Done };
  "recall": { args: RememberKey; answer: string | null };
}
