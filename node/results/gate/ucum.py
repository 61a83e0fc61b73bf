"""Whether a unit is one of UCUM: its grammar and all its atoms (ucum.org, version 2.2).

Case-sensitive codes only, as DICOM has them (PS3.16 ch. 8, CID 82). Nothing is converted here.
"""

from __future__ import annotations

import re

_PREFIXES = "Y Z E P T G M k h da d c m u n p f a z y Ki Mi Gi Ti"
_METRIC = """
m s g rad K C cd mol sr Hz N Pa J W A V F Ohm S Wb Cel T H lm lx Bq Gy Sv l L ar t bar u eV pc
[c] [h] [k] [eps_0] [mu_0] [e] [m_e] [m_p] [G] [g] [ly] gf Ky Gal dyn erg P Bi St Mx G Oe Gb sb Lmb
ph Ci R RAD REM cal_[15] cal_[20] cal_m cal_IT cal_th cal tex m[H2O] m[Hg] eq osm g% kat U [iU] [IU]
Np B B[SPL] B[V] B[mV] B[uV] B[10.nV] B[W] B[kW] st mho bit By Bd
"""
_OTHER = """
10* 10^ [pi] % [ppth] [ppm] [ppb] [pptr] gon deg ' '' min h d a_t a_j a_g a wk mo_s mo_j mo_g mo AU
atm [lbf_av] [in_i] [ft_i] [yd_i] [mi_i] [fth_i] [nmi_i] [kn_i] [sin_i] [sft_i] [syd_i] [cin_i]
[cft_i] [cyd_i] [bf_i] [cr_i] [mil_i] [cml_i] [hd_i] [ft_us] [yd_us] [in_us] [rd_us] [ch_us] [lk_us]
[rch_us] [rlk_us] [fth_us] [fur_us] [mi_us] [acr_us] [srd_us] [smi_us] [sct] [twp] [mil_us] [in_br]
[ft_br] [rd_br] [ch_br] [lk_br] [fth_br] [pc_br] [yd_br] [mi_br] [nmi_br] [kn_br] [acr_br] [gal_us]
[bbl_us] [qt_us] [pt_us] [gil_us] [foz_us] [fdr_us] [min_us] [crd_us] [bu_us] [gal_wi] [pk_us]
[dqt_us] [dpt_us] [tbs_us] [tsp_us] [cup_us] [foz_m] [cup_m] [tsp_m] [tbs_m] [gal_br] [pk_br]
[bu_br] [qt_br] [pt_br] [gil_br] [foz_br] [fdr_br] [min_br] [gr] [lb_av] [oz_av] [dr_av] [scwt_av]
[lcwt_av] [ston_av] [lton_av] [stone_av] [pwt_tr] [oz_tr] [lb_tr] [sc_ap] [dr_ap] [oz_ap] [lb_ap]
[oz_m] [lne] [pnt] [pca] [pnt_pr] [pca_pr] [pied] [pouce] [ligne] [didot] [cicero] [degF] [degR]
[degRe] [Cal] [Btu_39] [Btu_59] [Btu_60] [Btu_m] [Btu_IT] [Btu_th] [Btu] [HP] [den] [in_i'H2O]
[in_i'Hg] [PRU] [wood'U] [diop] [p'diop] %[slope] [mesh_i] [Ch] [drp] [hnsf'U] [MET] [hp'_X] [hp'_C]
[hp'_M] [hp'_Q] [hp_X] [hp_C] [hp_M] [hp_Q] [kp_X] [kp_C] [kp_M] [kp_Q] [pH] [S] [HPF] [LPF]
[arb'U] [USP'U] [GPL'U] [MPL'U] [APL'U] [beth'U] [anti'Xa'U] [todd'U] [dye'U] [smgy'U] [bdsk'U]
[ka'U] [knk'U] [mclg'U] [tb'U] [CCID_50] [TCID_50] [EID_50] [PFU] [FFU] [CFU] [IR] [BAU] [AU]
[Amb'a'1'U] [PNU] [Lf] [D'ag'U] [FEU] [ELU] [EU] Ao b att [psi] circ sph [car_m] [car_Au] [smoot]
[m/s2/Hz^(1/2)] [NTU] [FNU] bit_s
"""

_METRIC_ATOMS = frozenset(_METRIC.split())
_ATOMS = frozenset(
    (
        *_METRIC_ATOMS,
        *_OTHER.split(),
        *(prefix + atom for prefix in _PREFIXES.split() for atom in _METRIC_ATOMS),
    )
)
_TOKEN = re.compile(r"\{[^{}]*\}|\(|\)|\.|/|(?:\[[^\[\]]*\]|[^\[\]{}()./])+")
_COMPONENT = re.compile(r"(10[*^]|.*?[^0-9+-]|)([+-]?[0-9]+)?", re.DOTALL)


def is_unit(code: str) -> bool:
    """Whether ``code`` is a term of UCUM: "mL", "g/ml{SUVbw}", "[hnsf'U]", "1", "{ratio}"."""
    if not code or not code.isascii() or any(sign.isspace() for sign in code):
        return False
    if "".join(_TOKEN.findall(code)) != code:
        return False
    return _Terms(_TOKEN.findall(code)).are_sound()


class _Terms:
    """Reads terms (UCUM 2.2 §11): components joined by "." and "/", in parentheses or not."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0

    def are_sound(self) -> bool:
        return self._term() and self._place == len(self._tokens)

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, wanted: str) -> bool:
        found = self._next() == wanted
        self._place += found
        return found

    def _term(self) -> bool:
        self._take("/")
        while self._component():
            if not (self._take(".") or self._take("/")):
                return True
        return False

    def _component(self) -> bool:
        if self._take("("):
            return self._term() and self._take(")")
        annotated = self._next().startswith("{")
        if not annotated and not _is_simple(self._next()):
            return False
        self._place += 1
        if not annotated and self._next().startswith("{"):
            self._place += 1
        return True


def _is_simple(text: str) -> bool:
    """A number, or an atom with or without prefix and exponent."""
    if text.isdigit() or text in _ATOMS:
        return bool(text)
    match = _COMPONENT.fullmatch(text)
    return match is not None and match[2] is not None and match[1] in _ATOMS
