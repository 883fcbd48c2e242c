--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: alias; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alias (
    old text NOT NULL,
    new text NOT NULL,
    why text NOT NULL,
    who text NOT NULL,
    at bigint NOT NULL
);


--
-- Name: breaker; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.breaker (
    destination text NOT NULL,
    channel text NOT NULL,
    "position" text NOT NULL,
    failures integer NOT NULL,
    width integer NOT NULL,
    since bigint NOT NULL,
    probe_at bigint,
    why text NOT NULL
);


--
-- Name: commitment; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.commitment (
    id integer NOT NULL,
    uid text NOT NULL,
    destination text NOT NULL,
    asked bigint NOT NULL,
    reported bigint
);


--
-- Name: commitment_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.commitment_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: commitment_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.commitment_id_seq OWNED BY public.commitment.id;


--
-- Name: commitment_item; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.commitment_item (
    id bigint NOT NULL,
    commitment_id integer NOT NULL,
    ledger_id bigint NOT NULL
);


--
-- Name: commitment_item_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.commitment_item_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: commitment_item_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.commitment_item_id_seq OWNED BY public.commitment_item.id;


--
-- Name: delivery; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.delivery (
    id integer NOT NULL,
    exam_id integer NOT NULL,
    destination text NOT NULL,
    channel text NOT NULL,
    state text NOT NULL,
    waiting_for text NOT NULL,
    legal_due bigint,
    due bigint,
    next_try bigint,
    attempts integer NOT NULL,
    error text NOT NULL,
    held_by text NOT NULL,
    lease integer NOT NULL,
    lease_owner text NOT NULL,
    lease_until bigint,
    wanted text NOT NULL,
    delivered text NOT NULL,
    delivered_at bigint,
    expected bigint,
    created bigint NOT NULL,
    changed bigint NOT NULL
);


--
-- Name: delivery_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.delivery_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: delivery_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.delivery_id_seq OWNED BY public.delivery.id;


--
-- Name: disagreement; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.disagreement (
    exam_id integer NOT NULL,
    digest text NOT NULL,
    text text NOT NULL,
    who text NOT NULL,
    why text NOT NULL,
    at bigint NOT NULL
);


--
-- Name: document; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.document (
    id integer NOT NULL,
    kind text NOT NULL,
    stem text NOT NULL,
    digest text NOT NULL,
    place text NOT NULL,
    exam_id integer,
    revision integer,
    file_time bigint NOT NULL,
    arrived bigint NOT NULL,
    submit_time bigint,
    approve_time bigint,
    approved boolean NOT NULL,
    content text NOT NULL,
    reported text NOT NULL,
    named text NOT NULL,
    stale boolean NOT NULL,
    vouched boolean NOT NULL,
    confirmed integer,
    purged bigint
);


--
-- Name: document_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.document_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: document_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.document_id_seq OWNED BY public.document.id;


--
-- Name: duty; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.duty (
    name text NOT NULL,
    node text NOT NULL,
    until bigint NOT NULL
);


--
-- Name: event; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.event (
    id bigint NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    exam integer,
    delivery integer,
    study_uid text,
    text text NOT NULL,
    who text NOT NULL,
    alarm text NOT NULL,
    subject text NOT NULL
);


--
-- Name: event_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: event_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.event_id_seq OWNED BY public.event.id;


--
-- Name: exam; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.exam (
    id integer NOT NULL,
    branch text NOT NULL,
    exam_id text NOT NULL,
    accession_number text NOT NULL,
    patient_id text NOT NULL,
    patient_name text NOT NULL,
    touched integer NOT NULL,
    check_at bigint,
    revisions integer NOT NULL,
    approved_at bigint,
    doubt text NOT NULL,
    created bigint NOT NULL
);


--
-- Name: exam_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.exam_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: exam_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.exam_id_seq OWNED BY public.exam.id;


--
-- Name: exam_study; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.exam_study (
    id integer NOT NULL,
    exam_id integer NOT NULL,
    study_uid text NOT NULL,
    joined_by text NOT NULL,
    since bigint NOT NULL
);


--
-- Name: exam_study_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.exam_study_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: exam_study_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.exam_study_id_seq OWNED BY public.exam_study.id;


--
-- Name: exam_word; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.exam_word (
    word text NOT NULL,
    exam_id integer NOT NULL
);


--
-- Name: facts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.facts (
    id bigint NOT NULL,
    study_id integer NOT NULL,
    digest text NOT NULL,
    body text NOT NULL
);


--
-- Name: facts_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.facts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: facts_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.facts_id_seq OWNED BY public.facts.id;


--
-- Name: forgotten; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.forgotten (
    key bigint NOT NULL
);


--
-- Name: instance; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.instance (
    id bigint NOT NULL,
    study_id integer NOT NULL,
    series_uid text NOT NULL,
    sop_uid text NOT NULL,
    version integer NOT NULL,
    newest boolean NOT NULL,
    sop_class text NOT NULL,
    transfer_syntax text NOT NULL,
    digest text NOT NULL,
    orientation text NOT NULL,
    pixels text NOT NULL,
    identity integer NOT NULL,
    size bigint NOT NULL,
    modality text NOT NULL,
    facts_id bigint NOT NULL,
    "position" double precision,
    series_class text NOT NULL,
    rule text NOT NULL,
    sending_ae text NOT NULL,
    received bigint NOT NULL,
    purged bigint
);


--
-- Name: instance_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.instance_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: instance_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.instance_id_seq OWNED BY public.instance.id;


--
-- Name: ledger; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.ledger (
    id bigint NOT NULL,
    destination text NOT NULL,
    instance_id bigint NOT NULL,
    study integer NOT NULL,
    state text NOT NULL,
    rule text NOT NULL,
    status integer,
    association text NOT NULL,
    tries integer NOT NULL,
    reason text NOT NULL,
    at bigint NOT NULL,
    ask_at bigint
);


--
-- Name: ledger_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.ledger_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: ledger_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.ledger_id_seq OWNED BY public.ledger.id;


--
-- Name: node; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.node (
    name text NOT NULL,
    seen bigint NOT NULL
);


--
-- Name: open_alarm; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.open_alarm (
    alarm text NOT NULL,
    subject text NOT NULL,
    text text NOT NULL,
    exam integer,
    delivery integer,
    since bigint NOT NULL
);


--
-- Name: pace; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.pace (
    destination text NOT NULL,
    channel text NOT NULL,
    units double precision NOT NULL,
    seconds double precision NOT NULL
);


--
-- Name: pacs_count; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.pacs_count (
    study_uid text NOT NULL,
    instances integer NOT NULL
);


--
-- Name: parted; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.parted (
    exam_id integer NOT NULL,
    study_uid text NOT NULL
);


--
-- Name: pdf_word; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.pdf_word (
    kind text NOT NULL,
    word text NOT NULL,
    document_id integer NOT NULL
);


--
-- Name: reference; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.reference (
    id integer NOT NULL,
    instance_id bigint NOT NULL,
    purpose text NOT NULL,
    sop_uid text NOT NULL
);


--
-- Name: reference_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.reference_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: reference_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.reference_id_seq OWNED BY public.reference.id;


--
-- Name: removal; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.removal (
    id integer NOT NULL,
    study_uid text NOT NULL,
    files text NOT NULL,
    places text NOT NULL
);


--
-- Name: removal_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.removal_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: removal_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.removal_id_seq OWNED BY public.removal.id;


--
-- Name: retrieval; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.retrieval (
    exam_id integer NOT NULL,
    tries integer NOT NULL,
    missing text NOT NULL,
    said text NOT NULL,
    at bigint,
    ask_at bigint,
    down_until bigint
);


--
-- Name: schema; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schema (
    id integer NOT NULL,
    version integer NOT NULL
);


--
-- Name: schema_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.schema_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: schema_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.schema_id_seq OWNED BY public.schema.id;


--
-- Name: seen_file; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.seen_file (
    path text NOT NULL,
    size bigint NOT NULL,
    file_time bigint NOT NULL,
    digest text NOT NULL
);


--
-- Name: study; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.study (
    id integer NOT NULL,
    uid text NOT NULL,
    accession_number text NOT NULL,
    study_date text NOT NULL,
    study_time text NOT NULL,
    description text NOT NULL,
    manufacturer text NOT NULL,
    model text NOT NULL,
    station_name text NOT NULL,
    serial_number text NOT NULL,
    sending_ae text NOT NULL,
    device_modality text NOT NULL,
    doubt text NOT NULL,
    referred boolean NOT NULL,
    first_received bigint NOT NULL,
    last_received bigint NOT NULL,
    purged bigint
);


--
-- Name: study_accession; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.study_accession (
    id integer NOT NULL,
    study_id integer NOT NULL,
    accession_number text NOT NULL
);


--
-- Name: study_accession_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.study_accession_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: study_accession_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.study_accession_id_seq OWNED BY public.study_accession.id;


--
-- Name: study_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.study_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: study_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.study_id_seq OWNED BY public.study.id;


--
-- Name: study_identity; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.study_identity (
    id integer NOT NULL,
    study_id integer NOT NULL,
    digest text NOT NULL,
    patient_id text NOT NULL,
    name text NOT NULL,
    birth_date text NOT NULL,
    sex text NOT NULL,
    accession_number text NOT NULL,
    other_accession_numbers text NOT NULL
);


--
-- Name: study_identity_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.study_identity_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: study_identity_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.study_identity_id_seq OWNED BY public.study_identity.id;


--
-- Name: tombstone; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tombstone (
    id integer NOT NULL,
    study_id integer NOT NULL,
    summary text NOT NULL,
    body bytea NOT NULL
);


--
-- Name: tombstone_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.tombstone_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: tombstone_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.tombstone_id_seq OWNED BY public.tombstone.id;


--
-- Name: tombstone_key; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tombstone_key (
    sop bigint NOT NULL,
    study integer NOT NULL
);


--
-- Name: upload; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.upload (
    id integer NOT NULL,
    delivery_id integer NOT NULL,
    n integer NOT NULL,
    idem text NOT NULL,
    wanted text NOT NULL,
    pdf_place text NOT NULL,
    exam_place text NOT NULL,
    refused boolean NOT NULL,
    receipt_place text NOT NULL,
    receipt text NOT NULL,
    frozen bigint NOT NULL,
    confirmed bigint
);


--
-- Name: upload_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.upload_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: upload_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.upload_id_seq OWNED BY public.upload.id;


--
-- Name: commitment id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.commitment ALTER COLUMN id SET DEFAULT nextval('public.commitment_id_seq'::regclass);


--
-- Name: commitment_item id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.commitment_item ALTER COLUMN id SET DEFAULT nextval('public.commitment_item_id_seq'::regclass);


--
-- Name: delivery id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.delivery ALTER COLUMN id SET DEFAULT nextval('public.delivery_id_seq'::regclass);


--
-- Name: document id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.document ALTER COLUMN id SET DEFAULT nextval('public.document_id_seq'::regclass);


--
-- Name: event id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event ALTER COLUMN id SET DEFAULT nextval('public.event_id_seq'::regclass);


--
-- Name: exam id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exam ALTER COLUMN id SET DEFAULT nextval('public.exam_id_seq'::regclass);


--
-- Name: exam_study id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exam_study ALTER COLUMN id SET DEFAULT nextval('public.exam_study_id_seq'::regclass);


--
-- Name: facts id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.facts ALTER COLUMN id SET DEFAULT nextval('public.facts_id_seq'::regclass);


--
-- Name: instance id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.instance ALTER COLUMN id SET DEFAULT nextval('public.instance_id_seq'::regclass);


--
-- Name: ledger id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ledger ALTER COLUMN id SET DEFAULT nextval('public.ledger_id_seq'::regclass);


--
-- Name: reference id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reference ALTER COLUMN id SET DEFAULT nextval('public.reference_id_seq'::regclass);


--
-- Name: removal id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.removal ALTER COLUMN id SET DEFAULT nextval('public.removal_id_seq'::regclass);


--
-- Name: schema id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema ALTER COLUMN id SET DEFAULT nextval('public.schema_id_seq'::regclass);


--
-- Name: study id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study ALTER COLUMN id SET DEFAULT nextval('public.study_id_seq'::regclass);


--
-- Name: study_accession id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_accession ALTER COLUMN id SET DEFAULT nextval('public.study_accession_id_seq'::regclass);


--
-- Name: study_identity id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_identity ALTER COLUMN id SET DEFAULT nextval('public.study_identity_id_seq'::regclass);


--
-- Name: tombstone id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tombstone ALTER COLUMN id SET DEFAULT nextval('public.tombstone_id_seq'::regclass);


--
-- Name: upload id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.upload ALTER COLUMN id SET DEFAULT nextval('public.upload_id_seq'::regclass);


--
-- Data for Name: alias; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: breaker; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: commitment; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: commitment_item; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: delivery; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.delivery VALUES (1, 1, 'cloud', 'report', 'delivered', '', 1795989689000000, 1795989689000000, NULL, 1, '', '', 1, '', NULL, 'json=1 pdf=2 images=2 studies=7bdf3534', 'json=1 pdf=2 images=2 studies=7bdf3534', 1795987290288510, NULL, 1795987289565513, 1795987290288510);
INSERT INTO public.delivery VALUES (2, 1, 'cloud', 'images', 'delivered', '', 1796007689000000, 1796007689000000, NULL, 1, '', '', 2, '', NULL, 'instances=2', 'instances=2', 1795987290250808, NULL, 1795987289565513, 1795987290250808);
INSERT INTO public.delivery VALUES (3, 2, 'cloud', 'report', 'delivered', '', 1795990589000000, 1795990890811988, NULL, 1, '', '', 2, '', NULL, 'json=5 pdf=6 images=2 studies=1b5785c7', 'json=5 pdf=6 images=2 studies=1b5785c7', 1795987290852295, NULL, 1795987290532767, 1795987290852295);
INSERT INTO public.delivery VALUES (4, 2, 'cloud', 'images', 'delivered', '', 1796008589000000, 1796007689000000, NULL, 1, '', '', 1, '', NULL, 'instances=2', 'instances=2', 1795987290586587, NULL, 1795987290532767, 1795987290586587);
INSERT INTO public.delivery VALUES (5, 3, 'cloud', 'report', 'held', '', 1795989689000000, 1795989689000000, NULL, 0, 'identity: study 1.2.826.0.1.3680043.10.9999.3 differs from the exam in patient id, name', 'identity', 0, '', NULL, 'json=7 pdf=8 images=2 studies=22135a95', '', NULL, NULL, 1795987291100646, 1795987291100646);
INSERT INTO public.delivery VALUES (6, 3, 'cloud', 'images', 'held', '', 1796007689000000, 1796007689000000, NULL, 0, 'identity: study 1.2.826.0.1.3680043.10.9999.3 differs from the exam in patient id, name', 'identity', 0, '', NULL, 'instances=2', '', NULL, NULL, 1795987291100646, 1795987291100646);
INSERT INTO public.delivery VALUES (7, 4, 'cloud', 'report', 'delivered', '', 1795989689000000, 1795989689000000, NULL, 1, '', '', 1, '', NULL, 'json=9 pdf=10 images=2 studies=0880aa4b', 'json=9 pdf=10 images=2 studies=0880aa4b', 1795987291558352, NULL, 1795987291350557, 1795987291558352);
INSERT INTO public.delivery VALUES (8, 4, 'cloud', 'images', 'delivered', '', 1796007689000000, 1796007689000000, NULL, 1, '', '', 1, '', NULL, 'instances=2', 'instances=2', 1795987291553851, NULL, 1795987291350557, 1795987291553851);
INSERT INTO public.delivery VALUES (9, 5, 'cloud', 'report', 'failed', '', 1795989689000000, 1795989689000000, NULL, 1, 'the platform does not accept the exam JSON: Patient.IdNo (身份证件号): required, and missing or empty', '', 1, '', NULL, 'json=11 pdf=12 images=2 studies=8a5c4f5d', '', NULL, NULL, 1795987291805774, 1795987291861918);
INSERT INTO public.delivery VALUES (10, 5, 'cloud', 'images', 'delivered', '', 1796007689000000, 1796007689000000, NULL, 1, '', '', 1, '', NULL, 'instances=2', 'instances=2', 1795987291860079, NULL, 1795987291805774, 1795987291860079);
INSERT INTO public.delivery VALUES (11, 6, 'cloud', 'report', 'waiting', 'approval pdf', NULL, NULL, NULL, 0, '', '', 0, '', NULL, 'json=13 pdf=- images=2 studies=9eb58111', '', NULL, NULL, 1795987292096999, 1795987292096999);
INSERT INTO public.delivery VALUES (12, 6, 'cloud', 'images', 'waiting', 'approval', NULL, NULL, NULL, 0, '', '', 0, '', NULL, 'instances=2', '', NULL, NULL, 1795987292096999, 1795987292096999);
INSERT INTO public.delivery VALUES (13, 7, 'cloud', 'report', 'held', 'approval pdf', NULL, NULL, NULL, 0, 'held by operator: the patient objects', 'person', 0, '', NULL, 'json=14 pdf=- images=2 studies=0c48e03c', '', NULL, NULL, 1795987292348077, 1795987292380932);
INSERT INTO public.delivery VALUES (14, 7, 'cloud', 'images', 'held', 'approval', NULL, NULL, NULL, 0, 'held by operator: the patient objects', 'person', 0, '', NULL, 'instances=2', '', NULL, NULL, 1795987292348077, 1795987292381882);
INSERT INTO public.delivery VALUES (15, 8, 'cloud', 'report', 'delivered', '', 1795989689000000, 1795989689000000, NULL, 1, '', '', 1, '', NULL, 'json=15 pdf=16 images=2 studies=5e9f2473', 'json=15 pdf=16 images=2 studies=5e9f2473', 1795987292680917, NULL, 1795987292602434, 1795987292680917);
INSERT INTO public.delivery VALUES (16, 8, 'cloud', 'images', 'delivered', '', 1796007689000000, 1796007689000000, NULL, 1, '', '', 1, '', NULL, 'instances=2', 'instances=2', 1795987292682428, NULL, 1795987292602434, 1795987292682428);
INSERT INTO public.delivery VALUES (17, 9, 'cloud', 'report', 'delivered', '', 1795989689000000, 1795989689000000, NULL, 1, '', '', 1, '', NULL, 'json=17 pdf=18 images=2 studies=5e9f2473', 'json=17 pdf=18 images=2 studies=5e9f2473', 1795987292996120, NULL, 1795987292940906, 1795987292996120);
INSERT INTO public.delivery VALUES (18, 9, 'cloud', 'images', 'delivered', '', 1796007689000000, 1796007689000000, NULL, 1, '', '', 1, '', NULL, 'instances=2', 'instances=2', 1795987292975865, NULL, 1795987292940906, 1795987292975865);


--
-- Data for Name: disagreement; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.disagreement VALUES (3, 'f2bcfdcffc94c22a3997e0988173369d078380f49c4eecfba9d3f40c1e986e43', 'study 1.2.826.0.1.3680043.10.9999.3 differs from the exam in patient id, name', '', '', 1795987291100646);
INSERT INTO public.disagreement VALUES (3, '0f5a3b06735f106282d98201bbe611026079e3a1178da51380005b7c1c062e32', 'study 1.2.826.0.1.3680043.10.9999.3 differs from the exam in patient id, name', '', '', 1795987291100646);
INSERT INTO public.disagreement VALUES (4, '4deb2db6b032a15bfef72af3e9c28cac953bfaf1e0caebfe5835b0cc427cd877', 'study 1.2.826.0.1.3680043.10.9999.4 differs from the exam in patient id, name', 'operator', 'the number was typed wrong at the scanner', 1795987291495542);
INSERT INTO public.disagreement VALUES (4, 'a980a6f3526297354508eb5b62b5f2f1529dfb09a8abbbc2a5289d8db57997c7', 'study 1.2.826.0.1.3680043.10.9999.4 differs from the exam in patient id, name', 'operator', 'the number was typed wrong at the scanner', 1795987291495542);


--
-- Data for Name: document; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.document VALUES (1, 'json', 'EXM7183-0001', '080f05f495ecc4c5374ba718cf3277cd9a4bcaf00d80d179acaab75f60f2e451', 'reports/1/1/exam.json', 1, 1, 1795987289238848, 1795987289557198, 1795985489000000, 1795986089000000, true, 'aeb72f5117b631314d178377296498506a11dc098953bcb918e17a85df38afe9', 'e0a97664b6c57751d2e7af5b0fe8c70f2fa85a16df3007ae2423f32c3b012e8e', '0834b52804eb7976ca42cc5c7c347602e9c9ca4e9acae4946a965f08b2319ebd', false, true, NULL, NULL);
INSERT INTO public.document VALUES (2, 'pdf', 'EXM7183-0001', '6d563a566fb633fa33ce3c6932784f28f03aa4cbdd41c4e9d22da32326b6dc32', 'reports/1/2/report.pdf', 1, 2, 1795987289243628, 1795987289558977, NULL, NULL, false, '', '', 'ACC7183-0001
EXM7183-0001
周测试人', false, true, NULL, NULL);
INSERT INTO public.document VALUES (3, 'json', 'EXM7183-0002', '6e4275a3890b50628d1549c77f285acca1987b9974f21d0169e3e277b612890c', 'reports/2/1/exam.json', 2, 1, 1795987290313830, 1795987290524904, 1795985489000000, 1795986089000000, true, 'aeb72f5117b631314d178377296498506a11dc098953bcb918e17a85df38afe9', 'e0a97664b6c57751d2e7af5b0fe8c70f2fa85a16df3007ae2423f32c3b012e8e', '1c63eb011650825260e29251d8395f0162d8d4edb64bcd2daaab97d5bd93160d', false, true, NULL, NULL);
INSERT INTO public.document VALUES (4, 'pdf', 'EXM7183-0002', '296a858f3c9c887d11aba6069758205d44c51bd68e93cffcf68bc6358226592c', 'reports/2/2/report.pdf', 2, 2, 1795987290315875, 1795987290526350, NULL, NULL, false, '', '', 'ACC7183-0002
EXM7183-0002
周测试人', false, true, NULL, NULL);
INSERT INTO public.document VALUES (5, 'json', 'EXM7183-0002', '5a1307dddd5a3a1045b2633ad5e193875ac3744c608d24e00d3add8367738994', 'reports/2/3/exam.json', 2, 3, 1795987290602446, 1795987290809672, 1795986389000000, 1795986989000000, true, '7f89066d623601ab416ebd7c501532c8b3199b34c489ea806358d9a8e7fda10b', '8ca43d91d5eec3d435e488ea5c77e0ce1381b553f98b6b07dd9bcd6de3949bf9', '1c63eb011650825260e29251d8395f0162d8d4edb64bcd2daaab97d5bd93160d', false, true, NULL, NULL);
INSERT INTO public.document VALUES (6, 'pdf', 'EXM7183-0002', '81b76a395403ee8763dfc6f5ec41786661202808d7d27e464c8979c94cd90103', 'reports/2/4/report.pdf', 2, 4, 1795987290604412, 1795987290811988, NULL, NULL, false, '', '', 'ACC7183-0002
EXM7183-0002
周测试人', false, true, NULL, NULL);
INSERT INTO public.document VALUES (7, 'json', 'EXM7183-0003', 'b6f2aa3d2e064e7c7e25f0472168be44c9a5dea814d0beabe90e73ab930ad5e0', 'reports/3/1/exam.json', 3, 1, 1795987290882824, 1795987291093174, 1795985489000000, 1795986089000000, true, 'aeb72f5117b631314d178377296498506a11dc098953bcb918e17a85df38afe9', 'e0a97664b6c57751d2e7af5b0fe8c70f2fa85a16df3007ae2423f32c3b012e8e', 'ef476f8465be17d0b11ac73ff08ebb9b78ce1bf8bd5b4fdd0376536e6f2fbd49', false, true, NULL, NULL);
INSERT INTO public.document VALUES (8, 'pdf', 'EXM7183-0003', '5b2e7da0bdb518215531d4158aac7fade8fbe6bd035204deb820a6de83276b9a', 'reports/3/2/report.pdf', 3, 2, 1795987290884929, 1795987291094537, NULL, NULL, false, '', '', 'ACC7183-0003
EXM7183-0003', false, true, NULL, NULL);
INSERT INTO public.document VALUES (9, 'json', 'EXM7183-0004', '3b2639a13e78c210b7c5950b95124012356bff99b41fa3f3b9faf9dd9da5440e', 'reports/4/1/exam.json', 4, 1, 1795987291129202, 1795987291340959, 1795985489000000, 1795986089000000, true, 'aeb72f5117b631314d178377296498506a11dc098953bcb918e17a85df38afe9', 'e0a97664b6c57751d2e7af5b0fe8c70f2fa85a16df3007ae2423f32c3b012e8e', '641e873a18481447c36333e412312e50913a432f9625da6a925a629e8b509443', false, true, NULL, NULL);
INSERT INTO public.document VALUES (10, 'pdf', 'EXM7183-0004', '0eb72cb9b46b6a513b517eabcf04e0e275b56cdefa20d15fe3fe337f21368863', 'reports/4/2/report.pdf', 4, 2, 1795987291131175, 1795987291342898, NULL, NULL, false, '', '', 'ACC7183-0004
EXM7183-0004', false, true, NULL, NULL);
INSERT INTO public.document VALUES (11, 'json', 'EXM7183-0005', '5b77dad909c263af8c71e433dc37db41dd75bd8be7b6c1bd3908ecffa555f466', 'reports/5/1/exam.json', 5, 1, 1795987291581000, 1795987291797304, 1795985489000000, 1795986089000000, true, 'aeb72f5117b631314d178377296498506a11dc098953bcb918e17a85df38afe9', 'e0a97664b6c57751d2e7af5b0fe8c70f2fa85a16df3007ae2423f32c3b012e8e', '790d9eeffd1128ec33ca9d342513044f56651e6f907c329d9a42cbe03d61cbf7', false, true, NULL, NULL);
INSERT INTO public.document VALUES (12, 'pdf', 'EXM7183-0005', '86932b495b7570c77934b9a0d231eda0c051806716af2e189dbd64392eee1c62', 'reports/5/2/report.pdf', 5, 2, 1795987291583026, 1795987291798653, NULL, NULL, false, '', '', 'ACC7183-0005
EXM7183-0005
周测试人', false, true, NULL, NULL);
INSERT INTO public.document VALUES (13, 'json', 'EXM7183-0006', '11f71c596efce73c76d2a6fa3ecaff21df7f002151d679e509991ac7eb88f2ca', 'reports/6/1/exam.json', 6, 1, 1795987291887573, 1795987292090240, 1795985489000000, NULL, false, 'aeb72f5117b631314d178377296498506a11dc098953bcb918e17a85df38afe9', '7938d09b8dc43146a7836c2d9ecae1c0a98482691e15e973684eb4e790f05815', '9b7d7b33c7caff0eadc79ed21c086eb59d07f4df46c7d2edd7381da0bb1e6ee0', false, true, NULL, NULL);
INSERT INTO public.document VALUES (14, 'json', 'EXM7183-0007', '7dc3b4ac7756460f5c14f36a658440dbdc5baeb05eae8973a66495884777feee', 'reports/7/1/exam.json', 7, 1, 1795987292140023, 1795987292342297, 1795985489000000, NULL, false, 'aeb72f5117b631314d178377296498506a11dc098953bcb918e17a85df38afe9', '7938d09b8dc43146a7836c2d9ecae1c0a98482691e15e973684eb4e790f05815', '803b3e0475a844042e94ab8e86cb112687f954b71abe4064e06a3b476f1eb0cb', false, true, NULL, NULL);
INSERT INTO public.document VALUES (15, 'json', 'EXM7183-0008', 'b42f71f6de33ee830e7d14b3e0221578eadbd2fcd8706fbd2c7b80b5ca82e355', 'reports/8/1/exam.json', 8, 1, 1795987292385463, 1795987292594088, 1795985489000000, 1795986089000000, true, 'aeb72f5117b631314d178377296498506a11dc098953bcb918e17a85df38afe9', 'e0a97664b6c57751d2e7af5b0fe8c70f2fa85a16df3007ae2423f32c3b012e8e', '98ce17281e5243918c3b05edfc83729aa5ca7cec61ecb34ffbb29841037717e7', false, true, NULL, NULL);
INSERT INTO public.document VALUES (16, 'pdf', 'EXM7183-0008', 'aa55d142c796a91f478b8a2b0458597540f0a4df130486eff594ec9f91846f34', 'reports/8/2/report.pdf', 8, 2, 1795987292388365, 1795987292595541, NULL, NULL, false, '', '', 'ACC7183-0008
EXM7183-0008
周测试人', false, true, NULL, NULL);
INSERT INTO public.document VALUES (17, 'json', 'EXM7183-1008', 'fb7070857ff80944ad9489b8e39699ef84b023fc92c0b00cba334ded52e64fb7', 'reports/9/1/exam.json', 9, 1, 1795987292719933, 1795987292929926, 1795985489000000, 1795986089000000, true, 'aeb72f5117b631314d178377296498506a11dc098953bcb918e17a85df38afe9', 'e0a97664b6c57751d2e7af5b0fe8c70f2fa85a16df3007ae2423f32c3b012e8e', '98ce17281e5243918c3b05edfc83729aa5ca7cec61ecb34ffbb29841037717e7', false, true, NULL, NULL);
INSERT INTO public.document VALUES (18, 'pdf', 'EXM7183-1008', 'ba92790222e6f272d6269dd239b3480ecd72e366455f346a3aff52648d1f9832', 'reports/9/2/report.pdf', 9, 2, 1795987292722423, 1795987292931455, NULL, NULL, false, '', '', 'ACC7183-0008
EXM7183-1008
周测试人', false, true, NULL, NULL);


--
-- Data for Name: duty; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: event; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.event VALUES (1, 1795987288735820, 'pinned', NULL, NULL, NULL, 'keys of platform cloud seen first: signing d958ed358206fda8; encryption 7ab9c8c2e5f7dc44', 'node', '', '');
INSERT INTO public.event VALUES (2, 1795987288747775, 'reported', NULL, NULL, NULL, 'report of 2026-11-28: 0 met, 0 pending, 0 missed by us, 0 arrived late; 0 exam(s) with gaps', 'node', '', '');
INSERT INTO public.event VALUES (3, 1795987289172226, 'started', NULL, NULL, NULL, 'node acceptance listens', 'node', '', 'acceptance');
INSERT INTO public.event VALUES (4, 1795987289558000, 'document', 1, NULL, NULL, 'revision 1: exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (5, 1795987289559339, 'document', 1, NULL, NULL, 'revision 2: report PDF', 'node', '', '');
INSERT INTO public.event VALUES (6, 1795987289565513, 'joined', 1, NULL, '1.2.826.0.1.3680043.10.9999.1', 'listed in StudyInstanceUIDs', 'node', '', '');
INSERT INTO public.event VALUES (7, 1795987289565513, 'moved', 1, 2, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (8, 1795987289581932, 'moved', 1, 2, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (9, 1795987289606282, 'moved', 1, 2, NULL, 'sending -> waiting: 2 of 2 sent; more may come', 'node', '', '');
INSERT INTO public.event VALUES (10, 1795987290222857, 'moved', 1, 1, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (11, 1795987290222857, 'moved', 1, 2, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (12, 1795987290230052, 'moved', 1, 1, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (13, 1795987290232276, 'moved', 1, 2, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (14, 1795987290250808, 'moved', 1, 2, NULL, 'sending -> delivered: 2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (15, 1795987290250808, 'confirmed', 1, 2, NULL, '2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (16, 1795987290288510, 'moved', 1, 1, NULL, 'sending -> delivered: receipt for revision 1', 'node', '', '');
INSERT INTO public.event VALUES (17, 1795987290288510, 'confirmed', 1, 1, NULL, 'receipt for revision 1', 'node', '', '');
INSERT INTO public.event VALUES (18, 1795987290525523, 'document', 2, NULL, NULL, 'revision 1: exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (19, 1795987290526659, 'document', 2, NULL, NULL, 'revision 2: report PDF', 'node', '', '');
INSERT INTO public.event VALUES (20, 1795987290532767, 'joined', 2, NULL, '1.2.826.0.1.3680043.10.9999.2', 'listed in StudyInstanceUIDs', 'node', '', '');
INSERT INTO public.event VALUES (21, 1795987290532767, 'moved', 2, 3, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (22, 1795987290532767, 'moved', 2, 4, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (23, 1795987290546095, 'moved', 2, 3, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (24, 1795987290549540, 'moved', 2, 4, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (25, 1795987290586587, 'moved', 2, 4, NULL, 'sending -> delivered: 2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (26, 1795987290586587, 'confirmed', 2, 4, NULL, '2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (27, 1795987290593147, 'moved', 2, 3, NULL, 'sending -> delivered: receipt for revision 1', 'node', '', '');
INSERT INTO public.event VALUES (28, 1795987290593147, 'confirmed', 2, 3, NULL, 'receipt for revision 1', 'node', '', '');
INSERT INTO public.event VALUES (29, 1795987290810695, 'document', 2, NULL, NULL, 'revision 3: exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (30, 1795987290812331, 'document', 2, NULL, NULL, 'revision 4: report PDF', 'node', '', '');
INSERT INTO public.event VALUES (31, 1795987290818258, 'moved', 2, 3, NULL, 'delivered -> waiting: there is something new to deliver', 'node', '', '');
INSERT INTO public.event VALUES (32, 1795987290818258, 'moved', 2, 3, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (33, 1795987290827204, 'moved', 2, 3, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (34, 1795987290852295, 'moved', 2, 3, NULL, 'sending -> delivered: receipt for revision 2', 'node', '', '');
INSERT INTO public.event VALUES (35, 1795987290852295, 'confirmed', 2, 3, NULL, 'receipt for revision 2', 'node', '', '');
INSERT INTO public.event VALUES (36, 1795987291093760, 'document', 3, NULL, NULL, 'revision 1: exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (37, 1795987291094860, 'document', 3, NULL, NULL, 'revision 2: report PDF', 'node', '', '');
INSERT INTO public.event VALUES (38, 1795987291100646, 'joined', 3, NULL, '1.2.826.0.1.3680043.10.9999.3', 'listed in StudyInstanceUIDs', 'node', '', '');
INSERT INTO public.event VALUES (39, 1795987291100646, 'moved', 3, 5, NULL, 'waiting -> held: identity: study 1.2.826.0.1.3680043.10.9999.3 differs from the exam in patient id, name', 'node', '', '');
INSERT INTO public.event VALUES (40, 1795987291100646, 'moved', 3, 6, NULL, 'waiting -> held: identity: study 1.2.826.0.1.3680043.10.9999.3 differs from the exam in patient id, name', 'node', '', '');
INSERT INTO public.event VALUES (41, 1795987291100646, 'doubt', 3, NULL, NULL, 'identity: study 1.2.826.0.1.3680043.10.9999.3 differs from the exam in patient id, name', 'node', '', '');
INSERT INTO public.event VALUES (42, 1795987291100646, 'alarm', 3, NULL, NULL, 'identity: study 1.2.826.0.1.3680043.10.9999.3 differs from the exam in patient id, name', 'node', 'doubt', 'exam 3');
INSERT INTO public.event VALUES (43, 1795987291341817, 'document', 4, NULL, NULL, 'revision 1: exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (44, 1795987291343332, 'document', 4, NULL, NULL, 'revision 2: report PDF', 'node', '', '');
INSERT INTO public.event VALUES (45, 1795987291350557, 'joined', 4, NULL, '1.2.826.0.1.3680043.10.9999.4', 'listed in StudyInstanceUIDs', 'node', '', '');
INSERT INTO public.event VALUES (46, 1795987291350557, 'moved', 4, 7, NULL, 'waiting -> held: identity: study 1.2.826.0.1.3680043.10.9999.4 differs from the exam in patient id, name', 'node', '', '');
INSERT INTO public.event VALUES (47, 1795987291350557, 'moved', 4, 8, NULL, 'waiting -> held: identity: study 1.2.826.0.1.3680043.10.9999.4 differs from the exam in patient id, name', 'node', '', '');
INSERT INTO public.event VALUES (48, 1795987291350557, 'doubt', 4, NULL, NULL, 'identity: study 1.2.826.0.1.3680043.10.9999.4 differs from the exam in patient id, name', 'node', '', '');
INSERT INTO public.event VALUES (49, 1795987291350557, 'alarm', 4, NULL, NULL, 'identity: study 1.2.826.0.1.3680043.10.9999.4 differs from the exam in patient id, name', 'node', 'doubt', 'exam 4');
INSERT INTO public.event VALUES (50, 1795987291495995, 'decided', 4, NULL, NULL, 'identity settled: the number was typed wrong at the scanner (study 1.2.826.0.1.3680043.10.9999.4 differs from the exam in patient id, name)', 'operator', '', '');
INSERT INTO public.event VALUES (51, 1795987291501766, 'moved', 4, 7, NULL, 'held -> waiting: waits for evaluation', 'node', '', '');
INSERT INTO public.event VALUES (52, 1795987291501766, 'moved', 4, 7, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (53, 1795987291501766, 'moved', 4, 8, NULL, 'held -> waiting: there is something new to deliver', 'node', '', '');
INSERT INTO public.event VALUES (54, 1795987291510839, 'moved', 4, 7, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (55, 1795987291501766, 'moved', 4, 8, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (56, 1795987291517612, 'moved', 4, 8, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (57, 1795987291501766, 'doubt', 4, NULL, NULL, 'the doubt is gone', 'node', '', '');
INSERT INTO public.event VALUES (58, 1795987291501766, 'cleared', 4, NULL, NULL, 'the exam was evaluated, and the cause is gone', 'node', 'doubt', 'exam 4');
INSERT INTO public.event VALUES (59, 1795987291553851, 'moved', 4, 8, NULL, 'sending -> delivered: 2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (60, 1795987291553851, 'confirmed', 4, 8, NULL, '2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (61, 1795987291558352, 'moved', 4, 7, NULL, 'sending -> delivered: receipt for revision 1', 'node', '', '');
INSERT INTO public.event VALUES (62, 1795987291558352, 'confirmed', 4, 7, NULL, 'receipt for revision 1', 'node', '', '');
INSERT INTO public.event VALUES (63, 1795987291797882, 'document', 5, NULL, NULL, 'revision 1: exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (64, 1795987291798917, 'document', 5, NULL, NULL, 'revision 2: report PDF', 'node', '', '');
INSERT INTO public.event VALUES (65, 1795987291805774, 'joined', 5, NULL, '1.2.826.0.1.3680043.10.9999.5', 'listed in StudyInstanceUIDs', 'node', '', '');
INSERT INTO public.event VALUES (66, 1795987291805774, 'moved', 5, 9, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (67, 1795987291819260, 'moved', 5, 9, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (68, 1795987291805774, 'moved', 5, 10, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (69, 1795987291826005, 'moved', 5, 10, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (70, 1795987291860079, 'moved', 5, 10, NULL, 'sending -> delivered: 2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (71, 1795987291861918, 'moved', 5, 9, NULL, 'sending -> failed: the platform does not accept the exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (72, 1795987291860079, 'confirmed', 5, 10, NULL, '2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (73, 1795987292091182, 'document', 6, NULL, NULL, 'revision 1: exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (74, 1795987292096999, 'joined', 6, NULL, '1.2.826.0.1.3680043.10.9999.6', 'listed in StudyInstanceUIDs', 'node', '', '');
INSERT INTO public.event VALUES (75, 1795987292343080, 'document', 7, NULL, NULL, 'revision 1: exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (76, 1795987292348077, 'joined', 7, NULL, '1.2.826.0.1.3680043.10.9999.7', 'listed in StudyInstanceUIDs', 'node', '', '');
INSERT INTO public.event VALUES (77, 1795987292380932, 'moved', 7, 13, NULL, 'waiting -> held: held: the patient objects', 'operator', '', '');
INSERT INTO public.event VALUES (78, 1795987292381882, 'moved', 7, 14, NULL, 'waiting -> held: held: the patient objects', 'operator', '', '');
INSERT INTO public.event VALUES (79, 1795987292594776, 'document', 8, NULL, NULL, 'revision 1: exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (80, 1795987292595805, 'document', 8, NULL, NULL, 'revision 2: report PDF', 'node', '', '');
INSERT INTO public.event VALUES (81, 1795987292602434, 'joined', 8, NULL, '1.2.826.0.1.3680043.10.9999.8', 'listed in StudyInstanceUIDs', 'node', '', '');
INSERT INTO public.event VALUES (82, 1795987292602434, 'moved', 8, 15, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (83, 1795987292623239, 'moved', 8, 15, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (84, 1795987292602434, 'moved', 8, 16, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (85, 1795987292628122, 'moved', 8, 16, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (86, 1795987292680917, 'moved', 8, 15, NULL, 'sending -> delivered: receipt for revision 1', 'node', '', '');
INSERT INTO public.event VALUES (87, 1795987292682428, 'moved', 8, 16, NULL, 'sending -> delivered: 2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (88, 1795987292680917, 'confirmed', 8, 15, NULL, 'receipt for revision 1', 'node', '', '');
INSERT INTO public.event VALUES (89, 1795987292682428, 'confirmed', 8, 16, NULL, '2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (90, 1795987292930570, 'document', 9, NULL, NULL, 'revision 1: exam JSON', 'node', '', '');
INSERT INTO public.event VALUES (91, 1795987292931797, 'document', 9, NULL, NULL, 'revision 2: report PDF', 'node', '', '');
INSERT INTO public.event VALUES (92, 1795987292940906, 'joined', 9, NULL, '1.2.826.0.1.3680043.10.9999.8', 'listed in StudyInstanceUIDs', 'node', '', '');
INSERT INTO public.event VALUES (93, 1795987292940906, 'moved', 9, 17, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (94, 1795987292940906, 'moved', 9, 18, NULL, 'waiting -> ready: everything is there', 'node', '', '');
INSERT INTO public.event VALUES (95, 1795987292953926, 'moved', 9, 17, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (96, 1795987292955664, 'moved', 9, 18, NULL, 'ready -> sending: claimed', 'node', '', '');
INSERT INTO public.event VALUES (97, 1795987292975865, 'moved', 9, 18, NULL, 'sending -> delivered: 2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (98, 1795987292975865, 'confirmed', 9, 18, NULL, '2 instances sent; wanted and not there: key, scout, dose', 'node', '', '');
INSERT INTO public.event VALUES (99, 1795987292996120, 'moved', 9, 17, NULL, 'sending -> delivered: receipt for revision 1', 'node', '', '');
INSERT INTO public.event VALUES (100, 1795987292996120, 'confirmed', 9, 17, NULL, 'receipt for revision 1', 'node', '', '');
INSERT INTO public.event VALUES (101, 1795987295696496, 'stopped', NULL, NULL, NULL, 'node acceptance stops', 'node', '', '');


--
-- Data for Name: exam; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.exam VALUES (1, '01', 'EXM7183-0001', 'ACC7183-0001', 'PAT7183-0001', '周测试人', 6, NULL, 2, 1795986089000000, '', 1795987289557198);
INSERT INTO public.exam VALUES (2, '01', 'EXM7183-0002', 'ACC7183-0002', 'PAT7183-0002', '周测试人', 8, NULL, 4, 1795986989000000, '', 1795987290524904);
INSERT INTO public.exam VALUES (3, '01', 'EXM7183-0003', 'ACC7183-0003', 'PAT7183-9999', '李四', 3, NULL, 2, 1795986089000000, 'identity: study 1.2.826.0.1.3680043.10.9999.3 differs from the exam in patient id, name', 1795987291093174);
INSERT INTO public.exam VALUES (4, '01', 'EXM7183-0004', 'ACC7183-0004', 'PAT7183-9999', '李四', 6, NULL, 2, 1795986089000000, '', 1795987291340959);
INSERT INTO public.exam VALUES (5, '01', 'EXM7183-0005', 'ACC7183-0005', 'PAT7183-0005', '周测试人', 5, NULL, 2, 1795986089000000, '', 1795987291797304);
INSERT INTO public.exam VALUES (6, '01', 'EXM7183-0006', 'ACC7183-0006', 'PAT7183-0006', '周测试人', 2, NULL, 1, NULL, '', 1795987292090240);
INSERT INTO public.exam VALUES (7, '01', 'EXM7183-0007', 'ACC7183-0007', 'PAT7183-0007', '周测试人', 4, NULL, 1, NULL, '', 1795987292342297);
INSERT INTO public.exam VALUES (8, '01', 'EXM7183-0008', 'ACC7183-0008', 'PAT7183-0008', '周测试人', 7, NULL, 2, 1795986089000000, '', 1795987292594088);
INSERT INTO public.exam VALUES (9, '01', 'EXM7183-1008', 'ACC7183-0008', 'PAT7183-0008', '周测试人', 5, NULL, 2, 1795986089000000, '', 1795987292929926);


--
-- Data for Name: exam_study; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.exam_study VALUES (1, 1, '1.2.826.0.1.3680043.10.9999.1', 'listed in StudyInstanceUIDs', 1795987289565513);
INSERT INTO public.exam_study VALUES (2, 2, '1.2.826.0.1.3680043.10.9999.2', 'listed in StudyInstanceUIDs', 1795987290532767);
INSERT INTO public.exam_study VALUES (3, 3, '1.2.826.0.1.3680043.10.9999.3', 'listed in StudyInstanceUIDs', 1795987291100646);
INSERT INTO public.exam_study VALUES (4, 4, '1.2.826.0.1.3680043.10.9999.4', 'listed in StudyInstanceUIDs', 1795987291350557);
INSERT INTO public.exam_study VALUES (5, 5, '1.2.826.0.1.3680043.10.9999.5', 'listed in StudyInstanceUIDs', 1795987291805774);
INSERT INTO public.exam_study VALUES (6, 6, '1.2.826.0.1.3680043.10.9999.6', 'listed in StudyInstanceUIDs', 1795987292096999);
INSERT INTO public.exam_study VALUES (7, 7, '1.2.826.0.1.3680043.10.9999.7', 'listed in StudyInstanceUIDs', 1795987292348077);
INSERT INTO public.exam_study VALUES (8, 8, '1.2.826.0.1.3680043.10.9999.8', 'listed in StudyInstanceUIDs', 1795987292602434);
INSERT INTO public.exam_study VALUES (9, 9, '1.2.826.0.1.3680043.10.9999.8', 'listed in StudyInstanceUIDs', 1795987292940906);


--
-- Data for Name: exam_word; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.exam_word VALUES ('ACC7183-0001', 1);
INSERT INTO public.exam_word VALUES ('EXM7183-0001', 1);
INSERT INTO public.exam_word VALUES ('周测试人', 1);
INSERT INTO public.exam_word VALUES ('ACC7183-0002', 2);
INSERT INTO public.exam_word VALUES ('EXM7183-0002', 2);
INSERT INTO public.exam_word VALUES ('周测试人', 2);
INSERT INTO public.exam_word VALUES ('ACC7183-0003', 3);
INSERT INTO public.exam_word VALUES ('EXM7183-0003', 3);
INSERT INTO public.exam_word VALUES ('李四', 3);
INSERT INTO public.exam_word VALUES ('ACC7183-0004', 4);
INSERT INTO public.exam_word VALUES ('EXM7183-0004', 4);
INSERT INTO public.exam_word VALUES ('李四', 4);
INSERT INTO public.exam_word VALUES ('ACC7183-0005', 5);
INSERT INTO public.exam_word VALUES ('EXM7183-0005', 5);
INSERT INTO public.exam_word VALUES ('周测试人', 5);
INSERT INTO public.exam_word VALUES ('ACC7183-0006', 6);
INSERT INTO public.exam_word VALUES ('EXM7183-0006', 6);
INSERT INTO public.exam_word VALUES ('周测试人', 6);
INSERT INTO public.exam_word VALUES ('ACC7183-0007', 7);
INSERT INTO public.exam_word VALUES ('EXM7183-0007', 7);
INSERT INTO public.exam_word VALUES ('周测试人', 7);
INSERT INTO public.exam_word VALUES ('ACC7183-0008', 8);
INSERT INTO public.exam_word VALUES ('EXM7183-0008', 8);
INSERT INTO public.exam_word VALUES ('周测试人', 8);
INSERT INTO public.exam_word VALUES ('ACC7183-0008', 9);
INSERT INTO public.exam_word VALUES ('EXM7183-1008', 9);
INSERT INTO public.exam_word VALUES ('周测试人', 9);


--
-- Data for Name: facts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.facts VALUES (1, 1, '618f2c5aec0af3aea09ddf37146fbe9da49d9e51e58f5394d4c217ad898e0d92', '{"image_columns": 8, "image_rows": 8, "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"], "modality": "CT", "photometric": "MONOCHROME2", "samples_per_pixel": 1, "series_number": 1, "slice_thickness": 1.0, "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "study_description": "\u80f8\u90e8CT\u5e73\u626b"}');
INSERT INTO public.facts VALUES (2, 2, '618f2c5aec0af3aea09ddf37146fbe9da49d9e51e58f5394d4c217ad898e0d92', '{"image_columns": 8, "image_rows": 8, "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"], "modality": "CT", "photometric": "MONOCHROME2", "samples_per_pixel": 1, "series_number": 1, "slice_thickness": 1.0, "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "study_description": "\u80f8\u90e8CT\u5e73\u626b"}');
INSERT INTO public.facts VALUES (3, 3, '618f2c5aec0af3aea09ddf37146fbe9da49d9e51e58f5394d4c217ad898e0d92', '{"image_columns": 8, "image_rows": 8, "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"], "modality": "CT", "photometric": "MONOCHROME2", "samples_per_pixel": 1, "series_number": 1, "slice_thickness": 1.0, "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "study_description": "\u80f8\u90e8CT\u5e73\u626b"}');
INSERT INTO public.facts VALUES (4, 4, '618f2c5aec0af3aea09ddf37146fbe9da49d9e51e58f5394d4c217ad898e0d92', '{"image_columns": 8, "image_rows": 8, "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"], "modality": "CT", "photometric": "MONOCHROME2", "samples_per_pixel": 1, "series_number": 1, "slice_thickness": 1.0, "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "study_description": "\u80f8\u90e8CT\u5e73\u626b"}');
INSERT INTO public.facts VALUES (5, 5, '618f2c5aec0af3aea09ddf37146fbe9da49d9e51e58f5394d4c217ad898e0d92', '{"image_columns": 8, "image_rows": 8, "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"], "modality": "CT", "photometric": "MONOCHROME2", "samples_per_pixel": 1, "series_number": 1, "slice_thickness": 1.0, "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "study_description": "\u80f8\u90e8CT\u5e73\u626b"}');
INSERT INTO public.facts VALUES (6, 6, '618f2c5aec0af3aea09ddf37146fbe9da49d9e51e58f5394d4c217ad898e0d92', '{"image_columns": 8, "image_rows": 8, "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"], "modality": "CT", "photometric": "MONOCHROME2", "samples_per_pixel": 1, "series_number": 1, "slice_thickness": 1.0, "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "study_description": "\u80f8\u90e8CT\u5e73\u626b"}');
INSERT INTO public.facts VALUES (7, 7, '618f2c5aec0af3aea09ddf37146fbe9da49d9e51e58f5394d4c217ad898e0d92', '{"image_columns": 8, "image_rows": 8, "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"], "modality": "CT", "photometric": "MONOCHROME2", "samples_per_pixel": 1, "series_number": 1, "slice_thickness": 1.0, "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "study_description": "\u80f8\u90e8CT\u5e73\u626b"}');
INSERT INTO public.facts VALUES (8, 8, '618f2c5aec0af3aea09ddf37146fbe9da49d9e51e58f5394d4c217ad898e0d92', '{"image_columns": 8, "image_rows": 8, "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"], "modality": "CT", "photometric": "MONOCHROME2", "samples_per_pixel": 1, "series_number": 1, "slice_thickness": 1.0, "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "study_description": "\u80f8\u90e8CT\u5e73\u626b"}');
INSERT INTO public.facts VALUES (9, 9, '618f2c5aec0af3aea09ddf37146fbe9da49d9e51e58f5394d4c217ad898e0d92', '{"image_columns": 8, "image_rows": 8, "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"], "modality": "CT", "photometric": "MONOCHROME2", "samples_per_pixel": 1, "series_number": 1, "slice_thickness": 1.0, "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "study_description": "\u80f8\u90e8CT\u5e73\u626b"}');


--
-- Data for Name: forgotten; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: instance; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.instance VALUES (1, 1, '1.2.826.0.1.3680043.10.9999.1.1', '1.2.826.0.1.3680043.10.9999.1.1.1', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '3df11248d982dd590de0f864b9783df07df85bbf52c9fb262b9c64bc13715cc6', 'e3b0c44298fc1c149afbf4c8996fb924', 'a6982abdb1844dbdd634d6139e737f4b', 1, 1006, 'CT', 1, NULL, 'thin', 'thin slices', 'PACS', 1795987289214472, NULL);
INSERT INTO public.instance VALUES (2, 1, '1.2.826.0.1.3680043.10.9999.1.1', '1.2.826.0.1.3680043.10.9999.1.1.2', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '25bd368dcc37c13f0c071dcc9e37f9ec0a04aa123b7aa8605d92b46eb1844e69', 'e3b0c44298fc1c149afbf4c8996fb924', '18fe3607a71745e984355ceb3ce29f9c', 1, 1006, 'CT', 1, NULL, 'thin', 'thin slices', 'PACS', 1795987289215160, NULL);
INSERT INTO public.instance VALUES (3, 2, '1.2.826.0.1.3680043.10.9999.2.1', '1.2.826.0.1.3680043.10.9999.2.1.1', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '138e91f80755d873b6e55791e8b629e8e78c55d42675ffcb667078ca389f9e6a', 'e3b0c44298fc1c149afbf4c8996fb924', 'a6982abdb1844dbdd634d6139e737f4b', 2, 1006, 'CT', 2, NULL, 'thin', 'thin slices', 'PACS', 1795987289218111, NULL);
INSERT INTO public.instance VALUES (4, 2, '1.2.826.0.1.3680043.10.9999.2.1', '1.2.826.0.1.3680043.10.9999.2.1.2', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'a3e347c2e250c882eb8ad0c08c1330fb701106b972b8531f6e33f2f2a21297fa', 'e3b0c44298fc1c149afbf4c8996fb924', '18fe3607a71745e984355ceb3ce29f9c', 2, 1006, 'CT', 2, NULL, 'thin', 'thin slices', 'PACS', 1795987289218680, NULL);
INSERT INTO public.instance VALUES (5, 3, '1.2.826.0.1.3680043.10.9999.3.1', '1.2.826.0.1.3680043.10.9999.3.1.1', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'c1d15c8835135bb1fa081b7be2e46e1c0d938e06a3325ea4d9b03c860cc3343f', 'e3b0c44298fc1c149afbf4c8996fb924', 'a6982abdb1844dbdd634d6139e737f4b', 3, 1006, 'CT', 3, NULL, 'thin', 'thin slices', 'PACS', 1795987289221160, NULL);
INSERT INTO public.instance VALUES (6, 3, '1.2.826.0.1.3680043.10.9999.3.1', '1.2.826.0.1.3680043.10.9999.3.1.2', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'be6d1334cf486751ab58908698d5e9683d21b394e3a6be9b76cb11ea3f361457', 'e3b0c44298fc1c149afbf4c8996fb924', '18fe3607a71745e984355ceb3ce29f9c', 3, 1006, 'CT', 3, NULL, 'thin', 'thin slices', 'PACS', 1795987289221692, NULL);
INSERT INTO public.instance VALUES (7, 4, '1.2.826.0.1.3680043.10.9999.4.1', '1.2.826.0.1.3680043.10.9999.4.1.1', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '958d292ec86fa3aad4bc7ac47416a8392cf16c7d71200affa8edd767aa2560db', 'e3b0c44298fc1c149afbf4c8996fb924', 'a6982abdb1844dbdd634d6139e737f4b', 4, 1006, 'CT', 4, NULL, 'thin', 'thin slices', 'PACS', 1795987289224002, NULL);
INSERT INTO public.instance VALUES (8, 4, '1.2.826.0.1.3680043.10.9999.4.1', '1.2.826.0.1.3680043.10.9999.4.1.2', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'b708ca370d6e4b35fcb565ad40d47649694b59bb44448756e3deb43bb9baa802', 'e3b0c44298fc1c149afbf4c8996fb924', '18fe3607a71745e984355ceb3ce29f9c', 4, 1006, 'CT', 4, NULL, 'thin', 'thin slices', 'PACS', 1795987289224648, NULL);
INSERT INTO public.instance VALUES (9, 5, '1.2.826.0.1.3680043.10.9999.5.1', '1.2.826.0.1.3680043.10.9999.5.1.1', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '04310315b3b5b096896cdc69f65f7738f8bb80e3b63d6ae85fd0ad5d66feae2f', 'e3b0c44298fc1c149afbf4c8996fb924', 'a6982abdb1844dbdd634d6139e737f4b', 5, 1006, 'CT', 5, NULL, 'thin', 'thin slices', 'PACS', 1795987289226938, NULL);
INSERT INTO public.instance VALUES (10, 5, '1.2.826.0.1.3680043.10.9999.5.1', '1.2.826.0.1.3680043.10.9999.5.1.2', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'db63bff395241c013084d6e25689a32d554ce19fb9a3157b1000da0e64b327e9', 'e3b0c44298fc1c149afbf4c8996fb924', '18fe3607a71745e984355ceb3ce29f9c', 5, 1006, 'CT', 5, NULL, 'thin', 'thin slices', 'PACS', 1795987289227383, NULL);
INSERT INTO public.instance VALUES (11, 6, '1.2.826.0.1.3680043.10.9999.6.1', '1.2.826.0.1.3680043.10.9999.6.1.1', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '10a430c162fe1a04f7ee9a588e6fc7c314ead3e372d53c7223ed32c1a6950761', 'e3b0c44298fc1c149afbf4c8996fb924', 'a6982abdb1844dbdd634d6139e737f4b', 6, 1006, 'CT', 6, NULL, 'thin', 'thin slices', 'PACS', 1795987289229509, NULL);
INSERT INTO public.instance VALUES (12, 6, '1.2.826.0.1.3680043.10.9999.6.1', '1.2.826.0.1.3680043.10.9999.6.1.2', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '81ee3c3536659732d152aa94c9903ffe81607c18d8f2298f913ed036ca6200f2', 'e3b0c44298fc1c149afbf4c8996fb924', '18fe3607a71745e984355ceb3ce29f9c', 6, 1006, 'CT', 6, NULL, 'thin', 'thin slices', 'PACS', 1795987289229979, NULL);
INSERT INTO public.instance VALUES (13, 7, '1.2.826.0.1.3680043.10.9999.7.1', '1.2.826.0.1.3680043.10.9999.7.1.1', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '8882fe15a9308398588c45c5a3cb4084ad02595c6b3ecfb14c162dbf220249ce', 'e3b0c44298fc1c149afbf4c8996fb924', 'a6982abdb1844dbdd634d6139e737f4b', 7, 1006, 'CT', 7, NULL, 'thin', 'thin slices', 'PACS', 1795987289232095, NULL);
INSERT INTO public.instance VALUES (14, 7, '1.2.826.0.1.3680043.10.9999.7.1', '1.2.826.0.1.3680043.10.9999.7.1.2', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '2b01f64cf57aa4baa04b8ef790b9e8a4d8e469d010392be2709de4e9180ed6f9', 'e3b0c44298fc1c149afbf4c8996fb924', '18fe3607a71745e984355ceb3ce29f9c', 7, 1006, 'CT', 7, NULL, 'thin', 'thin slices', 'PACS', 1795987289232564, NULL);
INSERT INTO public.instance VALUES (15, 8, '1.2.826.0.1.3680043.10.9999.8.1', '1.2.826.0.1.3680043.10.9999.8.1.1', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'f0f47878550059c5a10937fe1a5587166a09546a4ab90631423504eed115f74d', 'e3b0c44298fc1c149afbf4c8996fb924', 'a6982abdb1844dbdd634d6139e737f4b', 8, 1006, 'CT', 8, NULL, 'thin', 'thin slices', 'PACS', 1795987289234824, NULL);
INSERT INTO public.instance VALUES (16, 8, '1.2.826.0.1.3680043.10.9999.8.1', '1.2.826.0.1.3680043.10.9999.8.1.2', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '4be45ffe3898db35f7836ef71dfa5b366ca7541dd061c6cf795e69d3aa44a272', 'e3b0c44298fc1c149afbf4c8996fb924', '18fe3607a71745e984355ceb3ce29f9c', 8, 1006, 'CT', 8, NULL, 'thin', 'thin slices', 'PACS', 1795987289235891, NULL);
INSERT INTO public.instance VALUES (17, 9, '1.2.826.0.1.3680043.10.9999.9.1', '1.2.826.0.1.3680043.10.9999.9.1.1', 1, true, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '003e17b12ba6ea89805ec88ef2fd3290d578d5b2e51ff202577feb3b60ddcefc', 'e3b0c44298fc1c149afbf4c8996fb924', 'a6982abdb1844dbdd634d6139e737f4b', 9, 1006, 'CT', 9, NULL, 'thin', 'thin slices', 'PACS', 1795987293031760, NULL);


--
-- Data for Name: ledger; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.ledger VALUES (1, 'cloud', 1, 1, 'sent', 'class thin', 0, 'CLOUD from port 48713', 0, '', 1795987289600957, NULL);
INSERT INTO public.ledger VALUES (2, 'cloud', 2, 1, 'sent', 'class thin', 0, 'CLOUD from port 48713', 0, '', 1795987289600957, NULL);
INSERT INTO public.ledger VALUES (3, 'cloud', 3, 2, 'sent', 'class thin', 0, 'CLOUD from port 33923', 0, '', 1795987290578938, NULL);
INSERT INTO public.ledger VALUES (4, 'cloud', 4, 2, 'sent', 'class thin', 0, 'CLOUD from port 33923', 0, '', 1795987290578938, NULL);
INSERT INTO public.ledger VALUES (5, 'cloud', 5, 3, 'selected', 'class thin', NULL, '', 0, '', 1795987291100646, NULL);
INSERT INTO public.ledger VALUES (6, 'cloud', 6, 3, 'selected', 'class thin', NULL, '', 0, '', 1795987291100646, NULL);
INSERT INTO public.ledger VALUES (7, 'cloud', 7, 4, 'sent', 'class thin', 0, 'CLOUD from port 49085', 0, '', 1795987291543628, NULL);
INSERT INTO public.ledger VALUES (8, 'cloud', 8, 4, 'sent', 'class thin', 0, 'CLOUD from port 49085', 0, '', 1795987291543628, NULL);
INSERT INTO public.ledger VALUES (9, 'cloud', 9, 5, 'sent', 'class thin', 0, 'CLOUD from port 55405', 0, '', 1795987291853334, NULL);
INSERT INTO public.ledger VALUES (10, 'cloud', 10, 5, 'sent', 'class thin', 0, 'CLOUD from port 55405', 0, '', 1795987291853334, NULL);
INSERT INTO public.ledger VALUES (11, 'cloud', 11, 6, 'selected', 'class thin', NULL, '', 0, '', 1795987292096999, NULL);
INSERT INTO public.ledger VALUES (12, 'cloud', 12, 6, 'selected', 'class thin', NULL, '', 0, '', 1795987292096999, NULL);
INSERT INTO public.ledger VALUES (13, 'cloud', 13, 7, 'selected', 'class thin', NULL, '', 0, '', 1795987292348077, NULL);
INSERT INTO public.ledger VALUES (14, 'cloud', 14, 7, 'selected', 'class thin', NULL, '', 0, '', 1795987292348077, NULL);
INSERT INTO public.ledger VALUES (15, 'cloud', 15, 8, 'sent', 'class thin', 0, 'CLOUD from port 60449', 0, '', 1795987292666030, NULL);
INSERT INTO public.ledger VALUES (16, 'cloud', 16, 8, 'sent', 'class thin', 0, 'CLOUD from port 60449', 0, '', 1795987292666030, NULL);


--
-- Data for Name: node; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: open_alarm; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.open_alarm VALUES ('doubt', 'exam 3', 'identity: study 1.2.826.0.1.3680043.10.9999.3 differs from the exam in patient id, name', 3, NULL, 1795987291100646);


--
-- Data for Name: pace; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.pace VALUES ('cloud', 'images', 10, 0.2127217310001015);
INSERT INTO public.pace VALUES ('cloud', 'report', 6, 0.29839763699999367);


--
-- Data for Name: pacs_count; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: parted; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: pdf_word; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: reference; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: removal; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: retrieval; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: schema; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.schema VALUES (1, 1);


--
-- Data for Name: seen_file; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: study; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.study VALUES (1, '1.2.826.0.1.3680043.10.9999.1', 'ACC7183-0001', '20260302', '093000', '胸部CT平扫', '', '', 'CT01', '', 'PACS', 'CT', '', false, 1795987289214472, 1795987289215160, NULL);
INSERT INTO public.study VALUES (2, '1.2.826.0.1.3680043.10.9999.2', 'ACC7183-0002', '20260302', '093000', '胸部CT平扫', '', '', 'CT01', '', 'PACS', 'CT', '', false, 1795987289218111, 1795987289218680, NULL);
INSERT INTO public.study VALUES (3, '1.2.826.0.1.3680043.10.9999.3', 'ACC7183-0003', '20260302', '093000', '胸部CT平扫', '', '', 'CT01', '', 'PACS', 'CT', '', false, 1795987289221160, 1795987289221692, NULL);
INSERT INTO public.study VALUES (4, '1.2.826.0.1.3680043.10.9999.4', 'ACC7183-0004', '20260302', '093000', '胸部CT平扫', '', '', 'CT01', '', 'PACS', 'CT', '', false, 1795987289224002, 1795987289224648, NULL);
INSERT INTO public.study VALUES (5, '1.2.826.0.1.3680043.10.9999.5', 'ACC7183-0005', '20260302', '093000', '胸部CT平扫', '', '', 'CT01', '', 'PACS', 'CT', '', false, 1795987289226938, 1795987289227383, NULL);
INSERT INTO public.study VALUES (6, '1.2.826.0.1.3680043.10.9999.6', 'ACC7183-0006', '20260302', '093000', '胸部CT平扫', '', '', 'CT01', '', 'PACS', 'CT', '', false, 1795987289229509, 1795987289229979, NULL);
INSERT INTO public.study VALUES (7, '1.2.826.0.1.3680043.10.9999.7', 'ACC7183-0007', '20260302', '093000', '胸部CT平扫', '', '', 'CT01', '', 'PACS', 'CT', '', false, 1795987289232095, 1795987289232564, NULL);
INSERT INTO public.study VALUES (8, '1.2.826.0.1.3680043.10.9999.8', 'ACC7183-0008', '20260302', '093000', '胸部CT平扫', '', '', 'CT01', '', 'PACS', 'CT', '', false, 1795987289234824, 1795987289235891, NULL);
INSERT INTO public.study VALUES (9, '1.2.826.0.1.3680043.10.9999.9', 'ACC7183-0009', '20260302', '093000', '胸部CT平扫', '', '', 'CT01', '', 'PACS', 'CT', '', false, 1795987293031760, 1795987293031760, NULL);


--
-- Data for Name: study_accession; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.study_accession VALUES (1, 1, 'ACC7183-0001');
INSERT INTO public.study_accession VALUES (2, 2, 'ACC7183-0002');
INSERT INTO public.study_accession VALUES (3, 3, 'ACC7183-0003');
INSERT INTO public.study_accession VALUES (4, 4, 'ACC7183-0004');
INSERT INTO public.study_accession VALUES (5, 5, 'ACC7183-0005');
INSERT INTO public.study_accession VALUES (6, 6, 'ACC7183-0006');
INSERT INTO public.study_accession VALUES (7, 7, 'ACC7183-0007');
INSERT INTO public.study_accession VALUES (8, 8, 'ACC7183-0008');
INSERT INTO public.study_accession VALUES (9, 9, 'ACC7183-0009');


--
-- Data for Name: study_identity; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.study_identity VALUES (1, 1, '355815e2a8786c552724c010e6ca9a16ff2d490e305fda6d836cea7e6e53dbab', 'PAT7183-0001', 'Zhouzhou^Ceshiren=周^测试人', '19600501', 'F', 'ACC7183-0001', '[]');
INSERT INTO public.study_identity VALUES (2, 2, '3038e04914e13f6f39ec734e710054932886d7e41df0fee8c50de4ed4fce219b', 'PAT7183-0002', 'Zhouzhou^Ceshiren=周^测试人', '19600501', 'F', 'ACC7183-0002', '[]');
INSERT INTO public.study_identity VALUES (3, 3, '8adec6d6c9c32ba86560f4afae3ff77178bd2da80dfaa8d26cb87f0ebfce51f0', 'PAT7183-0003', 'Zhouzhou^Ceshiren=周^测试人', '19600501', 'F', 'ACC7183-0003', '[]');
INSERT INTO public.study_identity VALUES (4, 4, 'f2bf5b164257d2dc016a579b80abac7b250ade0b30be7f3c0564a1758a6d6d3f', 'PAT7183-0004', 'Zhouzhou^Ceshiren=周^测试人', '19600501', 'F', 'ACC7183-0004', '[]');
INSERT INTO public.study_identity VALUES (5, 5, '307476c8cc4a819fbd5fdc8560f9929f91d42b276e58925414f2d7318696ed0f', 'PAT7183-0005', 'Zhouzhou^Ceshiren=周^测试人', '19600501', 'F', 'ACC7183-0005', '[]');
INSERT INTO public.study_identity VALUES (6, 6, '4b5b1333e9eddebef0735a1d83ede078c4d8c1e2ece0cbbf31d97a82d75b522c', 'PAT7183-0006', 'Zhouzhou^Ceshiren=周^测试人', '19600501', 'F', 'ACC7183-0006', '[]');
INSERT INTO public.study_identity VALUES (7, 7, 'a1146ae5f0586697798b3f5078ca53e8514fdbb9f7a79da4dff27900e50dfe0d', 'PAT7183-0007', 'Zhouzhou^Ceshiren=周^测试人', '19600501', 'F', 'ACC7183-0007', '[]');
INSERT INTO public.study_identity VALUES (8, 8, '71954ddaa910378ceae719404bcbb083a1cbc1afb0357b9190e0f8b89b63bbae', 'PAT7183-0008', 'Zhouzhou^Ceshiren=周^测试人', '19600501', 'F', 'ACC7183-0008', '[]');
INSERT INTO public.study_identity VALUES (9, 9, 'a2a9c2ea9c89e6204932b121331b77a0021855cbb563beb5be4bab319d86a3dc', 'PAT7183-0009', 'Zhouzhou^Ceshiren=周^测试人', '19600501', 'F', 'ACC7183-0009', '[]');


--
-- Data for Name: tombstone; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: tombstone_key; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: upload; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.upload VALUES (1, 1, 1, 'c5365106c42a9fcdf6d65f1e1ba3a7bc', 'json=1 pdf=2 images=2 studies=7bdf3534', 'reports/1/2/report.pdf', 'reports/1/sent/cloud/1/exam.json', false, 'reports/1/sent/cloud/1/receipt.json', '8a9bc9b47cac42739c356adf6c29227c', 1795987290267465, 1795987290287488);
INSERT INTO public.upload VALUES (2, 3, 1, 'ba15cff9fa5b48c781fe9c2d9abd52ca', 'json=3 pdf=4 images=2 studies=1b5785c7', 'reports/2/2/report.pdf', 'reports/2/sent/cloud/1/exam.json', false, 'reports/2/sent/cloud/1/receipt.json', '6db7cfde8ea3417393cdc31876ed9dc5', 1795987290569640, 1795987290592418);
INSERT INTO public.upload VALUES (3, 3, 2, '3960c43fec84af29bf3e3560be9c4411', 'json=5 pdf=6 images=2 studies=1b5785c7', 'reports/2/4/report.pdf', 'reports/2/sent/cloud/2/exam.json', false, 'reports/2/sent/cloud/2/receipt.json', 'cc5c462c2067455780db8040c97d8553', 1795987290838818, 1795987290851425);
INSERT INTO public.upload VALUES (4, 7, 1, 'ae3712b5d5a019b47fa32a305eeb2752', 'json=9 pdf=10 images=2 studies=0880aa4b', 'reports/4/2/report.pdf', 'reports/4/sent/cloud/1/exam.json', false, 'reports/4/sent/cloud/1/receipt.json', '02fdbee7c0e741078c66448da227151e', 1795987291535115, 1795987291556878);
INSERT INTO public.upload VALUES (5, 9, 1, '9a6c1d2675e4a0ab0317866f68ae7c9b', 'json=11 pdf=12 images=2 studies=8a5c4f5d', 'reports/5/2/report.pdf', 'reports/5/sent/cloud/1/exam.json', true, '', '', 1795987291841877, NULL);
INSERT INTO public.upload VALUES (6, 15, 1, 'bb34979b5afb69093730b1660f5bed9d', 'json=15 pdf=16 images=2 studies=5e9f2473', 'reports/8/2/report.pdf', 'reports/8/sent/cloud/1/exam.json', false, 'reports/8/sent/cloud/1/receipt.json', 'c25868ff8828438bb46da0af6833385f', 1795987292648979, 1795987292679878);
INSERT INTO public.upload VALUES (7, 17, 1, '2a8973ed5b85c9a756e9b2b024960044', 'json=17 pdf=18 images=2 studies=5e9f2473', 'reports/9/2/report.pdf', 'reports/9/sent/cloud/1/exam.json', false, 'reports/9/sent/cloud/1/receipt.json', 'eb4d9997ddc14b8a9faaf655803ac364', 1795987292979021, 1795987292995238);


--
-- Name: commitment_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.commitment_id_seq', 1, false);


--
-- Name: commitment_item_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.commitment_item_id_seq', 1, false);


--
-- Name: delivery_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.delivery_id_seq', 18, true);


--
-- Name: document_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.document_id_seq', 18, true);


--
-- Name: event_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.event_id_seq', 101, true);


--
-- Name: exam_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.exam_id_seq', 9, true);


--
-- Name: exam_study_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.exam_study_id_seq', 9, true);


--
-- Name: facts_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.facts_id_seq', 9, true);


--
-- Name: instance_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.instance_id_seq', 17, true);


--
-- Name: ledger_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.ledger_id_seq', 16, true);


--
-- Name: reference_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.reference_id_seq', 1, false);


--
-- Name: removal_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.removal_id_seq', 1, false);


--
-- Name: schema_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.schema_id_seq', 1, true);


--
-- Name: study_accession_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.study_accession_id_seq', 9, true);


--
-- Name: study_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.study_id_seq', 9, true);


--
-- Name: study_identity_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.study_identity_id_seq', 9, true);


--
-- Name: tombstone_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.tombstone_id_seq', 1, false);


--
-- Name: upload_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.upload_id_seq', 7, true);


--
-- Name: alias alias_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alias
    ADD CONSTRAINT alias_pkey PRIMARY KEY (old, new);


--
-- Name: breaker breaker_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.breaker
    ADD CONSTRAINT breaker_pkey PRIMARY KEY (destination, channel);


--
-- Name: commitment_item commitment_item_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.commitment_item
    ADD CONSTRAINT commitment_item_pkey PRIMARY KEY (id);


--
-- Name: commitment commitment_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.commitment
    ADD CONSTRAINT commitment_pkey PRIMARY KEY (id);


--
-- Name: delivery delivery_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (id);


--
-- Name: disagreement disagreement_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.disagreement
    ADD CONSTRAINT disagreement_pkey PRIMARY KEY (exam_id, digest);


--
-- Name: document document_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (id);


--
-- Name: duty duty_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.duty
    ADD CONSTRAINT duty_pkey PRIMARY KEY (name);


--
-- Name: event event_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (id);


--
-- Name: exam exam_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exam
    ADD CONSTRAINT exam_pkey PRIMARY KEY (id);


--
-- Name: exam_study exam_study_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exam_study
    ADD CONSTRAINT exam_study_pkey PRIMARY KEY (id);


--
-- Name: exam_word exam_word_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exam_word
    ADD CONSTRAINT exam_word_pkey PRIMARY KEY (word, exam_id);


--
-- Name: facts facts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.facts
    ADD CONSTRAINT facts_pkey PRIMARY KEY (id);


--
-- Name: forgotten forgotten_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.forgotten
    ADD CONSTRAINT forgotten_pkey PRIMARY KEY (key);


--
-- Name: instance instance_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.instance
    ADD CONSTRAINT instance_pkey PRIMARY KEY (id);


--
-- Name: ledger ledger_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (id);


--
-- Name: node node_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.node
    ADD CONSTRAINT node_pkey PRIMARY KEY (name);


--
-- Name: open_alarm open_alarm_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.open_alarm
    ADD CONSTRAINT open_alarm_pkey PRIMARY KEY (alarm, subject);


--
-- Name: pace pace_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.pace
    ADD CONSTRAINT pace_pkey PRIMARY KEY (destination, channel);


--
-- Name: pacs_count pacs_count_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.pacs_count
    ADD CONSTRAINT pacs_count_pkey PRIMARY KEY (study_uid);


--
-- Name: parted parted_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parted
    ADD CONSTRAINT parted_pkey PRIMARY KEY (exam_id, study_uid);


--
-- Name: pdf_word pdf_word_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.pdf_word
    ADD CONSTRAINT pdf_word_pkey PRIMARY KEY (word, kind, document_id);


--
-- Name: reference reference_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reference
    ADD CONSTRAINT reference_pkey PRIMARY KEY (id);


--
-- Name: removal removal_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.removal
    ADD CONSTRAINT removal_pkey PRIMARY KEY (id);


--
-- Name: retrieval retrieval_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.retrieval
    ADD CONSTRAINT retrieval_pkey PRIMARY KEY (exam_id);


--
-- Name: schema schema_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema
    ADD CONSTRAINT schema_pkey PRIMARY KEY (id);


--
-- Name: seen_file seen_file_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.seen_file
    ADD CONSTRAINT seen_file_pkey PRIMARY KEY (path, digest);


--
-- Name: study_accession study_accession_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_accession
    ADD CONSTRAINT study_accession_pkey PRIMARY KEY (id);


--
-- Name: study_identity study_identity_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_identity
    ADD CONSTRAINT study_identity_pkey PRIMARY KEY (id);


--
-- Name: study study_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study
    ADD CONSTRAINT study_pkey PRIMARY KEY (id);


--
-- Name: tombstone tombstone_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tombstone
    ADD CONSTRAINT tombstone_pkey PRIMARY KEY (id);


--
-- Name: upload upload_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_pkey PRIMARY KEY (id);


--
-- Name: commitment_uid; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX commitment_uid ON public.commitment USING btree (uid);


--
-- Name: commitmentitem_commitment_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX commitmentitem_commitment_id ON public.commitment_item USING btree (commitment_id);


--
-- Name: commitmentitem_ledger_id_commitment_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX commitmentitem_ledger_id_commitment_id ON public.commitment_item USING btree (ledger_id, commitment_id);


--
-- Name: delivery_destination_channel_state_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX delivery_destination_channel_state_due ON public.delivery USING btree (destination, channel, state, due);


--
-- Name: delivery_exam_id_destination_channel; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX delivery_exam_id_destination_channel ON public.delivery USING btree (exam_id, destination, channel);


--
-- Name: delivery_state_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX delivery_state_due ON public.delivery USING btree (state, due);


--
-- Name: document_digest; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX document_digest ON public.document USING btree (digest);


--
-- Name: document_exam_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX document_exam_id ON public.document USING btree (exam_id);


--
-- Name: document_kind_purged_arrived; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX document_kind_purged_arrived ON public.document USING btree (kind, purged, arrived);


--
-- Name: document_stem; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX document_stem ON public.document USING btree (stem);


--
-- Name: event_configuration; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX event_configuration ON public.event USING btree (subject, id) WHERE (kind = ANY (ARRAY['started'::text, 'reloaded'::text]));


--
-- Name: eventrow_delivery; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX eventrow_delivery ON public.event USING btree (delivery);


--
-- Name: eventrow_exam; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX eventrow_exam ON public.event USING btree (exam);


--
-- Name: eventrow_study_uid; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX eventrow_study_uid ON public.event USING btree (study_uid);


--
-- Name: exam_accession_number; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX exam_accession_number ON public.exam USING btree (accession_number);


--
-- Name: exam_branch_exam_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX exam_branch_exam_id ON public.exam USING btree (branch, exam_id);


--
-- Name: exam_check_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX exam_check_at ON public.exam USING btree (check_at);


--
-- Name: exam_exam_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX exam_exam_id ON public.exam USING btree (exam_id);


--
-- Name: examstudy_exam_id_study_uid; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX examstudy_exam_id_study_uid ON public.exam_study USING btree (exam_id, study_uid);


--
-- Name: examstudy_study_uid; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX examstudy_study_uid ON public.exam_study USING btree (study_uid);


--
-- Name: examword_exam_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX examword_exam_id ON public.exam_word USING btree (exam_id);


--
-- Name: facts_study_id_digest; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX facts_study_id_digest ON public.facts USING btree (study_id, digest);


--
-- Name: instance_older; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX instance_older ON public.instance USING btree (study_id) WHERE (NOT newest);


--
-- Name: instance_sop_uid; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX instance_sop_uid ON public.instance USING btree (sop_uid);


--
-- Name: instance_study_id_sop_uid_version; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX instance_study_id_sop_uid_version ON public.instance USING btree (study_id, sop_uid, version);


--
-- Name: ledger_instance_id_destination; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX ledger_instance_id_destination ON public.ledger USING btree (instance_id, destination);


--
-- Name: ledger_open; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ledger_open ON public.ledger USING btree (study) WHERE (state = ANY (ARRAY['held'::text, 'late'::text, 'stored'::text]));


--
-- Name: ledger_study_destination; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ledger_study_destination ON public.ledger USING btree (study, destination);


--
-- Name: pdfword_document_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX pdfword_document_id ON public.pdf_word USING btree (document_id);


--
-- Name: reference_instance_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX reference_instance_id ON public.reference USING btree (instance_id);


--
-- Name: reference_sop_uid; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX reference_sop_uid ON public.reference USING btree (sop_uid);


--
-- Name: retrieval_ask_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX retrieval_ask_at ON public.retrieval USING btree (ask_at);


--
-- Name: study_last_received; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX study_last_received ON public.study USING btree (last_received);


--
-- Name: study_purged_last_received; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX study_purged_last_received ON public.study USING btree (purged, last_received);


--
-- Name: study_uid; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX study_uid ON public.study USING btree (uid);


--
-- Name: studyaccession_accession_number_study_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX studyaccession_accession_number_study_id ON public.study_accession USING btree (accession_number, study_id);


--
-- Name: studyaccession_study_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX studyaccession_study_id ON public.study_accession USING btree (study_id);


--
-- Name: studyidentity_study_id_digest; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX studyidentity_study_id_digest ON public.study_identity USING btree (study_id, digest);


--
-- Name: tombstone_study_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX tombstone_study_id ON public.tombstone USING btree (study_id);


--
-- Name: tombstonekey_sop; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX tombstonekey_sop ON public.tombstone_key USING btree (sop);


--
-- Name: upload_delivery_id_n; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX upload_delivery_id_n ON public.upload USING btree (delivery_id, n);


--
-- Name: commitment_item commitment_item_commitment_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.commitment_item
    ADD CONSTRAINT commitment_item_commitment_id_fkey FOREIGN KEY (commitment_id) REFERENCES public.commitment(id);


--
-- Name: commitment_item commitment_item_ledger_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.commitment_item
    ADD CONSTRAINT commitment_item_ledger_id_fkey FOREIGN KEY (ledger_id) REFERENCES public.ledger(id);


--
-- Name: delivery delivery_exam_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_exam_id_fkey FOREIGN KEY (exam_id) REFERENCES public.exam(id);


--
-- Name: disagreement disagreement_exam_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.disagreement
    ADD CONSTRAINT disagreement_exam_id_fkey FOREIGN KEY (exam_id) REFERENCES public.exam(id);


--
-- Name: document document_exam_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_exam_id_fkey FOREIGN KEY (exam_id) REFERENCES public.exam(id);


--
-- Name: exam_study exam_study_exam_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exam_study
    ADD CONSTRAINT exam_study_exam_id_fkey FOREIGN KEY (exam_id) REFERENCES public.exam(id);


--
-- Name: exam_word exam_word_exam_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exam_word
    ADD CONSTRAINT exam_word_exam_id_fkey FOREIGN KEY (exam_id) REFERENCES public.exam(id);


--
-- Name: facts facts_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.facts
    ADD CONSTRAINT facts_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.study(id) ON DELETE CASCADE;


--
-- Name: instance instance_facts_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.instance
    ADD CONSTRAINT instance_facts_id_fkey FOREIGN KEY (facts_id) REFERENCES public.facts(id);


--
-- Name: instance instance_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.instance
    ADD CONSTRAINT instance_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.study(id);


--
-- Name: ledger ledger_instance_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instance(id);


--
-- Name: parted parted_exam_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parted
    ADD CONSTRAINT parted_exam_id_fkey FOREIGN KEY (exam_id) REFERENCES public.exam(id);


--
-- Name: pdf_word pdf_word_document_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.pdf_word
    ADD CONSTRAINT pdf_word_document_id_fkey FOREIGN KEY (document_id) REFERENCES public.document(id);


--
-- Name: reference reference_instance_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reference
    ADD CONSTRAINT reference_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instance(id) ON DELETE CASCADE;


--
-- Name: retrieval retrieval_exam_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.retrieval
    ADD CONSTRAINT retrieval_exam_id_fkey FOREIGN KEY (exam_id) REFERENCES public.exam(id);


--
-- Name: study_accession study_accession_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_accession
    ADD CONSTRAINT study_accession_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.study(id) ON DELETE CASCADE;


--
-- Name: study_identity study_identity_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.study_identity
    ADD CONSTRAINT study_identity_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.study(id) ON DELETE CASCADE;


--
-- Name: tombstone tombstone_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tombstone
    ADD CONSTRAINT tombstone_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.study(id);


--
-- Name: upload upload_delivery_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_delivery_id_fkey FOREIGN KEY (delivery_id) REFERENCES public.delivery(id);


--
-- PostgreSQL database dump complete
--


